//! Vendors and routes of the configuration become targets of `upstream` and routes of the pipeline.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::{Config, CredentialSource, VendorConfig};
use crate::pipeline::{Route, Routes};
use crate::upstream::{self, CredentialError, EgressConfig, UpstreamLimits, Upstreams, VendorTarget};

use super::AppError;

/// The URL that means the built-in vendor.
const DEMO: &str = "demo:";

/// Whether any vendor is the built-in one.
pub(super) fn wants_demo(config: &Config) -> bool {
    config.vendors.iter().any(|vendor| vendor.url == DEMO)
}

/// Every configured vendor, credentials read.
pub(super) fn upstreams(config: &Config, demo: Option<SocketAddr>) -> Result<Upstreams, AppError> {
    let limits = UpstreamLimits {
        first_byte_seconds: config.egress.first_byte_seconds,
        idle_seconds: config.egress.idle_seconds,
        total_seconds: config.egress.total_seconds,
    };
    let targets: Result<Vec<VendorTarget>, AppError> =
        config.vendors.iter().map(|vendor| target(vendor, demo).map(|target| target.with_limits(limits))).collect();
    let egress = EgressConfig {
        connect_timeout_seconds: config.egress.connect_seconds,
        ca_file: config.egress.ca_file.clone(),
        ..EgressConfig::default()
    };
    Upstreams::new(targets?, &egress).map_err(|error| AppError::Vendor(error.to_string()))
}

fn target(vendor: &VendorConfig, demo: Option<SocketAddr>) -> Result<VendorTarget, AppError> {
    let fault = |error: &dyn std::fmt::Display| AppError::Vendor(format!("vendor `{}`: {error}", vendor.id));
    let source = match &vendor.credential {
        CredentialSource::Env(name) => upstream::CredentialSource::Env(name.clone()),
        CredentialSource::File(path) => upstream::CredentialSource::File(path.clone()),
        CredentialSource::Caller => upstream::CredentialSource::Caller,
        CredentialSource::None => upstream::CredentialSource::None,
    };
    let credential = source.resolve(&|name| std::env::var(name).ok(), Path::new("")).map_err(|error| match error {
        CredentialError::Unreadable { .. } => AppError::Io(format!("vendor `{}`: {error}", vendor.id)),
        _ => fault(&error),
    })?;
    let url = match demo {
        Some(address) if vendor.url == DEMO => format!("http://{address}"),
        _ => vendor.url.clone(),
    };
    VendorTarget::new(&vendor.id, &url, credential).map_err(|error| fault(&error))
}

/// Every configured route.
pub(super) fn routes(config: &Config) -> Routes {
    let routes = config.routes.iter().map(|route| {
        let vendor = config.vendors.iter().find(|vendor| vendor.id == route.vendor);
        let names = vendor.map_or(&[][..], |vendor| &vendor.dialects);
        let dialects = names.iter().filter_map(|name| name.parse().ok()).collect();
        Route {
            name: route.name.as_str().into(),
            path: route.path.clone(),
            vendor: route.vendor.as_str().into(),
            tenant: route.tenant.as_str().into(),
            mode: route.mode,
            label: route.label,
            retention: route.retention.name.into(),
            retention_days: route.retention.days,
            risk: route.risk.as_str().into(),
            dialects,
            caller_credential: vendor.is_some_and(|vendor| vendor.credential == CredentialSource::Caller),
        }
    });
    Routes::new(routes.collect())
}

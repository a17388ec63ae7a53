//! The embedded default: loopback, the usual vendors with credentials from the usual environment variables, the demo.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::pipeline::Limits;
use crate::types::{Digest, Label, Mode};

use super::{Config, CredentialSource, Egress, Listen, Rates, RouteConfig, Tls, VendorConfig, retention};

/// Vendor id (also route name and path), dialects, URL, environment variable of the credential.
const VENDORS: &[(&str, &[&str], &str, &str)] = &[
    ("openai", &["openai"], "https://api.openai.com", "OPENAI_API_KEY"),
    ("anthropic", &["anthropic"], "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    ("gemini", &["openai"], "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    ("mistral", &["openai"], "https://api.mistral.ai", "MISTRAL_API_KEY"),
    ("groq", &["openai"], "https://api.groq.com/openai", "GROQ_API_KEY"),
    ("openrouter", &["openai"], "https://openrouter.ai/api", "OPENROUTER_API_KEY"),
    ("deepseek", &["openai"], "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
];

pub(super) fn embedded() -> Config {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Config {
        file: None,
        digest: Digest::of(b""),
        gateway_name: None,
        listen: Listen { gateway: loopback(8080), admin: loopback(9090), tls: Tls::Off },
        data: PathBuf::from("data"),
        durable: true,
        policy: None,
        limits: Limits::default(),
        rates: rates(),
        egress: egress(),
        vendors: vendors(),
        routes: routes(),
    }
}

pub(super) fn rates() -> Rates {
    Rates { unauthenticated_records_per_second: 200, drain_seconds: 30 }
}

pub(super) fn egress() -> Egress {
    Egress { ca_file: None, connect_seconds: 10, first_byte_seconds: 600, idle_seconds: 300, total_seconds: 3600 }
}

pub(super) fn vendors() -> Vec<VendorConfig> {
    let usual = VENDORS.iter().map(|(id, dialects, url, variable)| VendorConfig {
        id: (*id).to_owned(),
        dialects: dialects.iter().map(|&name| name.to_owned()).collect(),
        url: (*url).to_owned(),
        credential: CredentialSource::Env((*variable).to_owned()),
    });
    let demo = VendorConfig {
        id: "demo".to_owned(),
        dialects: vec!["openai".to_owned(), "anthropic".to_owned()],
        url: "demo:".to_owned(),
        credential: CredentialSource::None,
    };
    usual.chain([demo]).collect()
}

pub(super) fn routes() -> Vec<RouteConfig> {
    vendors().iter().map(|vendor| route(&vendor.id)).collect()
}

/// A route with every default, named after its vendor.
pub(super) fn route(vendor: &str) -> RouteConfig {
    RouteConfig {
        name: vendor.to_owned(),
        path: format!("/{vendor}"),
        vendor: vendor.to_owned(),
        tenant: "default".to_owned(),
        mode: Mode::Enforce,
        label: Label::Internal,
        retention: retention::DEFAULT,
        risk: "unassessed".to_owned(),
    }
}

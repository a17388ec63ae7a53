//! One vendor: its address, its credential, its limits.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use thiserror::Error;

use super::{Credential, HeaderShape, SendError, UpstreamLimits};
use crate::egress::EgressConfigError;

/// A vendor as configured and checked.
#[derive(Clone, Debug)]
pub struct VendorTarget {
    id: Arc<str>,
    scheme: Scheme,
    authority: Authority,
    /// The URL's path without a trailing slash: empty, or `/…`.
    base: String,
    credential: Credential,
    /// Wins over the dialect's place for the credential.
    header: Option<HeaderShape>,
    limits: UpstreamLimits,
}

impl VendorTarget {
    /// Checks a vendor's URL: `http` or `https`, a host, no query, fragment or user information.
    ///
    /// # Errors
    /// When the URL is not of that form.
    pub fn new(id: &str, url: &str, credential: Credential) -> Result<Self, TargetError> {
        let fault = |why: &'static str| TargetError::Url { id: id.to_owned(), why };
        if url.contains('#') {
            return Err(fault("it has a fragment"));
        }
        let uri: Uri = url.parse().map_err(|_| fault("it is not an absolute url"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.filter(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| fault("it begins with neither `http://` nor `https://`"))?;
        let authority = parts.authority.ok_or_else(|| fault("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(fault("it holds a user name: use `credential`"));
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|p| p.query().is_some()) {
            return Err(fault("it has a query"));
        }
        let base = path.map_or_else(String::new, |p| p.path().trim_end_matches('/').to_owned());
        let limits = UpstreamLimits::default();
        Ok(VendorTarget { id: id.into(), scheme, authority, base, credential, header: None, limits })
    }

    /// The same vendor with other time limits.
    #[must_use]
    pub fn with_limits(mut self, limits: UpstreamLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same vendor with its credential always in this place, whatever the dialect says.
    #[must_use]
    pub fn with_header(mut self, header: Option<HeaderShape>) -> Self {
        self.header = header;
        self
    }

    /// The vendor's id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The credential: `Missing` is refused by the pipeline with 403 `vendor.no_credential`.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The time limits.
    pub fn limits(&self) -> &UpstreamLimits {
        &self.limits
    }

    /// The URL for what is left behind the route's path, each byte as it was.
    pub(super) fn uri(&self, rest: &[u8]) -> Option<Uri> {
        let mut joined = Vec::with_capacity(self.base.len().saturating_add(rest.len()).saturating_add(1));
        joined.extend_from_slice(self.base.as_bytes());
        if joined.is_empty() && !rest.starts_with(b"/") {
            joined.push(b'/');
        }
        joined.extend_from_slice(rest);
        let path = PathAndQuery::from_maybe_shared(Bytes::from(joined)).ok()?;
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build().ok()
    }

    /// Puts the vendor's credential into the headers.
    pub(super) fn authorize(&self, headers: &mut HeaderMap, shape: HeaderShape) -> Result<(), SendError> {
        match &self.credential {
            Credential::Value(secret) => {
                let shape = self.header.unwrap_or(shape);
                let value = shape.value(secret.expose()).ok_or(SendError::NoCredential)?;
                headers.insert(shape.name(), value);
                Ok(())
            }
            Credential::Missing => Err(SendError::NoCredential),
            Credential::Caller | Credential::NotNeeded => Ok(()),
        }
    }
}

/// A vendor's settings that cannot work.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The URL is of another form.
    #[error("vendor `{id}`: the url cannot be used: {why}; write for example `https://api.example.com`")]
    Url {
        /// The vendor's id.
        id: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two vendors share an id.
    #[error("vendor `{0}` is configured twice: give each its own id")]
    Twice(String),
    /// The client cannot be built.
    #[error(transparent)]
    Egress(#[from] EgressConfigError),
}

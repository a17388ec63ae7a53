//! A vendor's credential: where it comes from, and where it goes in a request.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::types::Sensitive;

/// Where a vendor's credential is kept, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `file:PATH`: the whole of a file, white space around it cut off.
    File(PathBuf),
    /// `caller`: the caller sends its own vendor credential; Sealgate's travels in `sealgate-authorization`.
    Caller,
    /// `none`: the vendor wants no credential (a model server of one's own, the demo).
    None,
}

impl CredentialSource {
    /// Reads the credential. An environment variable that is unset or empty gives [`Credential::Missing`]; a file is
    /// expected to be there. `base` is where relative paths start.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, or holds what no header can carry.
    pub fn resolve(&self, env: &dyn Fn(&str) -> Option<String>, base: &Path) -> Result<Credential, CredentialError> {
        match self {
            CredentialSource::Caller => Ok(Credential::Caller),
            CredentialSource::None => Ok(Credential::NotNeeded),
            CredentialSource::Env(name) => match env(name).map(|v| v.trim().to_owned()) {
                Some(value) if !value.is_empty() => checked(value, || format!("env:{name}")),
                _ => Ok(Credential::Missing),
            },
            CredentialSource::File(path) => {
                let place = || format!("file:{}", path.display());
                let text = std::fs::read_to_string(base.join(path))
                    .map_err(|error| CredentialError::Unreadable { place: place(), why: error.to_string() })?;
                match text.trim() {
                    "" => Err(CredentialError::Unreadable { place: place(), why: "it is empty".to_owned() }),
                    value => checked(value.to_owned(), place),
                }
            }
        }
    }
}

fn checked(value: String, place: impl Fn() -> String) -> Result<Credential, CredentialError> {
    if value.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(Credential::Value(Sensitive::new(value)))
    } else {
        Err(CredentialError::Unusable { place: place() })
    }
}

impl FromStr for CredentialSource {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(CredentialSource::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(CredentialSource::File(PathBuf::from(path))),
            None if text == "caller" => Ok(CredentialSource::Caller),
            None if text == "none" => Ok(CredentialSource::None),
            _ => Err(CredentialError::Form),
        }
    }
}

impl<'de> Deserialize<'de> for CredentialSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A vendor's credential, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The secret itself.
    Value(Sensitive<String>),
    /// The caller's own, passed through.
    Caller,
    /// The vendor wants none.
    NotNeeded,
    /// Configured, but the environment does not hold it.
    Missing,
}

impl Credential {
    /// Whether callers send their own: Sealgate's credential then travels in `sealgate-authorization`.
    pub const fn is_caller(&self) -> bool {
        matches!(self, Credential::Caller)
    }

    /// Whether requests have to be refused for want of it (403 `vendor.no_credential`).
    pub const fn is_missing(&self) -> bool {
        matches!(self, Credential::Missing)
    }
}

/// Why a credential setting cannot be used. Never shows the credential (a key pasted into the setting included).
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The setting has another form.
    #[error("`credential` is none of `env:NAME`, `file:PATH`, `caller`, `none`; a key itself does not belong here")]
    Form,
    /// The file is missing, unreadable or empty.
    #[error("cannot read the vendor credential `{place}`: {why}")]
    Unreadable {
        /// The setting.
        place: String,
        /// The cause.
        why: String,
    },
    /// The value holds spaces, line breaks or other bytes no credential has.
    #[error("the vendor credential in `{place}` holds spaces or control characters: put the bare key there")]
    Unusable {
        /// The setting.
        place: String,
    },
}

/// The header a vendor expects its credential in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum HeaderShape {
    /// `Authorization: Bearer …` (OpenAI and all that follow it).
    #[serde(rename = "authorization")]
    Bearer,
    /// `x-api-key: …` (Anthropic).
    #[serde(rename = "x-api-key")]
    XApiKey,
    /// `api-key: …` (Azure).
    #[serde(rename = "api-key")]
    ApiKey,
    /// `x-goog-api-key: …` (Gemini).
    #[serde(rename = "x-goog-api-key")]
    XGoogApiKey,
}

impl HeaderShape {
    /// Where the dialect of this name puts its credential.
    pub fn of_dialect(name: &str) -> Self {
        match name {
            "anthropic" => HeaderShape::XApiKey,
            "gemini" => HeaderShape::XGoogApiKey,
            _ => HeaderShape::Bearer,
        }
    }

    pub(super) fn name(self) -> HeaderName {
        match self {
            HeaderShape::Bearer => AUTHORIZATION,
            HeaderShape::XApiKey => HeaderName::from_static("x-api-key"),
            HeaderShape::ApiKey => HeaderName::from_static("api-key"),
            HeaderShape::XGoogApiKey => HeaderName::from_static("x-goog-api-key"),
        }
    }

    /// The header's value, marked sensitive: kept out of `Debug` and of HTTP/2's compression table.
    pub(super) fn value(self, secret: &str) -> Option<HeaderValue> {
        let text = match self {
            HeaderShape::Bearer => format!("Bearer {secret}"),
            _ => secret.to_owned(),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

//! Where SDKs put their keys, how a credential is read there, and how it is taken out again.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::types::Reason;

/// Where the Sealgate credential travels on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the SDK puts its key: `Authorization`, `x-api-key`, `api-key`, `x-goog-api-key`, `?key=`.
    Usual,
    /// Only in `sealgate-authorization`: the usual places hold the caller's own vendor credential.
    SealgateHeader,
}

/// The header of [`Place::SealgateHeader`]: a bare token, or `Bearer <token>`.
pub const SEALGATE_AUTHORIZATION: HeaderName = HeaderName::from_static("sealgate-authorization");

const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Goes out together with a SigV4 `Authorization`: it is half of that credential.
const AWS_SESSION: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The one credential presented.
///
/// # Errors
/// `identity.missing` without any, `identity.conflict` with two that differ, `identity.invalid` where the place holds
/// what no token looks like.
pub(super) fn credential(headers: &HeaderMap, query: Option<&str>, place: Place) -> Result<String, Reason> {
    let mut found: Option<Cow<'_, [u8]>> = None;
    let mut take = |value: Cow<'_, [u8]>| match &found {
        _ if value.is_empty() => Ok(()),
        Some(first) if **first != *value => Err(Reason::IdentityConflict),
        Some(_) => Ok(()),
        None => {
            found = Some(Cow::Owned(value.into_owned()));
            Ok(())
        }
    };
    match place {
        Place::SealgateHeader => {
            for value in headers.get_all(SEALGATE_AUTHORIZATION) {
                take(bare(value.as_bytes()).into())?;
            }
        }
        Place::Usual => {
            for value in headers.get_all(AUTHORIZATION) {
                take(authorization(value.as_bytes()).into())?;
            }
            for name in &KEY_HEADERS {
                for value in headers.get_all(name) {
                    take(value.as_bytes().trim_ascii().into())?;
                }
            }
            for value in query.into_iter().flat_map(key_values) {
                take(Cow::Owned(value))?;
            }
        }
    }
    let token = found.ok_or(Reason::IdentityMissing)?;
    match std::str::from_utf8(&token) {
        Ok(text) if is_token(text) => Ok(text.to_owned()),
        _ => Err(Reason::IdentityInvalid),
    }
}

/// Takes out every place a Sealgate credential may have come in, and all `sealgate-*` headers; gives path and query
/// without `key=…`, everything else byte for byte. With [`Place::SealgateHeader`] the usual places are the caller's
/// own business and stay.
pub fn strip_credentials(headers: &mut HeaderMap, path_and_query: &str, place: Place) -> String {
    let own: Vec<HeaderName> = headers.keys().filter(|n| n.as_str().starts_with("sealgate-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    if place == Place::SealgateHeader {
        return path_and_query.to_owned();
    }
    headers.remove(AUTHORIZATION);
    headers.remove(AWS_SESSION);
    for name in KEY_HEADERS {
        headers.remove(name);
    }
    let Some((path, query)) = path_and_query.split_once('?') else {
        return path_and_query.to_owned();
    };
    if key_values(query).next().is_none() {
        return path_and_query.to_owned();
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Tokens are `[A-Za-z0-9_-]+`, and not endless.
fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `Bearer <token>` (RFC 6750 section 2.1; the scheme without case), or SigV4's access key id. Another scheme gives
/// its whole value: something was presented, and nobody issued it.
fn authorization(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let (scheme, rest) = split_at(value, b' ');
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return rest.trim_ascii();
    }
    if !scheme.eq_ignore_ascii_case(b"aws4-hmac-sha256") {
        return value;
    }
    for part in rest.split(|b| *b == b',' || *b == b' ') {
        if let Some(scope) = part.strip_prefix(b"Credential=") {
            return split_at(scope, b'/').0;
        }
    }
    value
}

fn bare(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let (scheme, rest) = split_at(value, b' ');
    if scheme.eq_ignore_ascii_case(b"bearer") { rest.trim_ascii() } else { value }
}

fn split_at(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let mut parts = bytes.splitn(2, |b| *b == separator);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn key_values(query: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    query.split('&').filter(|pair| is_key(pair)).map(|pair| decoded(pair.split_once('=').map_or("", |(_, v)| v)))
}

/// Whether a pair's name is `key`, however it is escaped.
fn is_key(pair: &str) -> bool {
    decoded(pair.split_once('=').map_or(pair, |(name, _)| name)) == b"key"
}

/// Percent-decoding (RFC 3986 section 2.1); a broken escape stays as it is.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Ours have 46; an operator's own may be longer.
const TOKEN_BYTES_MAX: usize = 256;

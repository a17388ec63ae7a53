//! From the words a person has for somebody to pseudonyms.
//!
//! A pseudonym or its beginning is taken as it is. Anything else is tried in every way that fits: as
//! `issuer subject`, as a token's user, under every version of every tenant's pseudonym key, and as a name that
//! an identity section gave (through keyed digests). The key store is opened for reading only.

use std::sync::Arc;

use crate::index::{Field, Names, View};
use crate::record::pseudonym;
use crate::store::{KeyStore, StoreError};
use crate::types::NONE;

use super::{DataPaths, Failure};

/// What it takes to look names up.
pub(super) fn names(paths: &DataPaths) -> Result<Names, StoreError> {
    Names::new(paths, Arc::new(KeyStore::open_read_only(paths.data())?))
}

/// The pseudonyms meant by `who`; none where nobody goes by that.
pub(super) fn resolve(paths: &DataPaths, view: &View, who: &str) -> Result<Vec<String>, Failure> {
    let who = who.trim();
    if who == NONE || who.is_empty() {
        let message = "nobody has no identity: ask `--reason identity.missing` or `identity.invalid`";
        return Err(Failure::Usage(message.to_owned()));
    }
    if let Some(prefix) = pseudonym_prefix(who) {
        let found = view.pseudonyms(&prefix, CANDIDATES_MAX)?;
        return if found.len() < CANDIDATES_MAX { Ok(found) } else { Err(too_many(who)) };
    }
    let keys = KeyStore::open_read_only(paths.data()).map_err(|error| {
        Failure::Io(format!(
            "{error}; without the keys only a pseudonym such as `hmac-sha256:1:ab12…` can be asked for"
        ))
    })?;
    let mut pairs = vec![(TOKEN_ISSUER, who)];
    pairs.extend(who.split_once(char::is_whitespace).map(|(issuer, subject)| (issuer, subject.trim())));
    let mut found = Vec::new();
    for tenant in view.values(Field::Tenant)? {
        for (version, key) in keys.pseudonym_keys(&tenant)? {
            found.extend(pairs.iter().map(|(issuer, subject)| pseudonym(&key, version, issuer, subject)));
        }
    }
    found.retain(|candidate| view.pseudonyms(candidate, 1).is_ok_and(|there| there.contains(candidate)));
    // Without an index key nobody was ever indexed by name.
    if let Ok(names) = Names::new(paths, Arc::new(keys)) {
        found.extend(view.named(&names, who)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// `hmac-sha256:1:ab12…`, or the `1:ab12…` that lists show.
fn pseudonym_prefix(who: &str) -> Option<String> {
    let rest = who.strip_prefix(SCHEME).unwrap_or(who).trim_end_matches('…');
    let (version, hex) = rest.split_once(':')?;
    let digits = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    let hex_ok = hex.len() >= HEX_MIN && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (digits && hex_ok).then(|| format!("{SCHEME}{rest}"))
}

/// The form lists show: key version and eight digits.
pub(super) fn short(pseudonym: &str) -> String {
    match pseudonym.strip_prefix(SCHEME) {
        Some(rest) => rest
            .split_once(':')
            .map_or(String::new(), |(version, hex)| format!("{version}:{}", hex.get(..SHORT_HEX).unwrap_or(hex))),
        None => pseudonym.to_owned(),
    }
}

fn too_many(who: &str) -> Failure {
    Failure::Usage(format!("`{}` is the beginning of more than {CANDIDATES_MAX} pseudonyms", who.escape_debug()))
}

const SCHEME: &str = "hmac-sha256:";
/// Issuer of client tokens.
const TOKEN_ISSUER: &str = "sealgate";
/// Fewest hex digits of a pseudonym's beginning.
const HEX_MIN: usize = 4;
const SHORT_HEX: usize = 8;
/// More persons than this are not meant by one beginning.
const CANDIDATES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_told_from_a_name() {
        assert_eq!(pseudonym_prefix("1:ab12cd34").as_deref(), Some("hmac-sha256:1:ab12cd34"));
        assert_eq!(pseudonym_prefix("hmac-sha256:2:ab12").as_deref(), Some("hmac-sha256:2:ab12"));
        for name in ["ada", "https://issuer:443 ada", "x:abcd", "1:AB12", "1:ab"] {
            assert_eq!(pseudonym_prefix(name), None, "{name}");
        }
        assert_eq!(short("hmac-sha256:1:ab12cd34ffff"), "1:ab12cd34");
        assert_eq!(short("none"), "none");
    }
}

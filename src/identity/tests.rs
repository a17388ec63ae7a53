use std::os::unix::fs::PermissionsExt;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::env::Clock;
use crate::types::{PrincipalKind, Reason, Sensitive, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

fn new(name: &str) -> NewToken {
    NewToken {
        name: name.into(),
        user: "ada".into(),
        roles: vec!["developer".into(), "auditor".into(), "developer".into()],
        tenant: "default".into(),
        kind: PrincipalKind::Human,
        expires: None,
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    store: TokenStore,
    who: Authenticator,
    token: String,
    info: TokenInfo,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = TokenStore::open(&folder.path().join("tokens.sqlite"), Clock::held(NOW)).unwrap();
    let (token, info) = store.create(new("laptop")).unwrap();
    Fixture { who: Authenticator::new(store.clone()), token: token.expose().clone(), info, folder, store }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn ask(f: &Fixture, pairs: &[(&str, &str)], query: Option<&str>) -> Result<String, Reason> {
    let found = f.who.identify(&headers(pairs), query, Place::Usual, NOW);
    found.map(|principal| principal.credential_id.to_string())
}

#[test]
fn a_token_is_found_wherever_an_sdk_puts_its_key() {
    let f = fixture();
    let token = f.token.as_str();
    assert!(token.starts_with("sg_") && token.len() == 46);
    let sigv4 = format!(
        "AWS4-HMAC-SHA256 Credential={token}/20261122/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"
    );
    let bearer = format!("Bearer {token}");
    let lower = format!("bearer  {token}");
    for pairs in [
        vec![("authorization", bearer.as_str())],
        vec![("authorization", lower.as_str())],
        vec![("x-api-key", token)],
        vec![("api-key", token)],
        vec![("x-goog-api-key", token)],
        vec![("authorization", sigv4.as_str())],
        vec![("authorization", bearer.as_str()), ("x-api-key", token)],
        vec![("authorization", ""), ("x-api-key", token)],
        vec![("authorization", "Bearer "), ("x-api-key", token)],
    ] {
        assert_eq!(ask(&f, &pairs, None), Ok(f.info.id.clone()), "{pairs:?}");
    }
    assert_eq!(ask(&f, &[], Some(&format!("alt=sse&key={token}"))), Ok(f.info.id.clone()));
}

#[test]
fn what_is_not_one_known_token_is_refused_with_its_reason() {
    let f = fixture();
    let bearer = format!("Bearer {}", f.token);
    for (pairs, reason) in [
        (vec![], Reason::IdentityMissing),
        (vec![("authorization", "")], Reason::IdentityMissing),
        (vec![("x-api-key", "  ")], Reason::IdentityMissing),
        (vec![("authorization", "Bearer sg_unknown")], Reason::IdentityInvalid),
        (vec![("authorization", "Basic dXNlcjpwYXNz")], Reason::IdentityInvalid),
        (vec![("x-api-key", "not a token")], Reason::IdentityInvalid),
        (vec![("authorization", bearer.as_str()), ("x-api-key", "sg_other")], Reason::IdentityConflict),
        (vec![("authorization", bearer.as_str()), ("authorization", "Bearer x")], Reason::IdentityConflict),
        (vec![("sealgate-authorization", bearer.as_str())], Reason::IdentityMissing),
    ] {
        assert_eq!(ask(&f, &pairs, None), Err(reason), "{pairs:?}");
    }
    assert_eq!(ask(&f, &[("authorization", &bearer)], Some("key=sg_other")), Err(Reason::IdentityConflict));
    assert_eq!(ask(&f, &[("authorization", &bearer)], Some("key=&monkey=1")), Ok(f.info.id.clone()));
}

#[test]
fn on_a_caller_route_only_the_sealgate_header_counts() {
    let f = fixture();
    let bearer = format!("Bearer {}", f.token);
    for value in [f.token.as_str(), bearer.as_str()] {
        let map = headers(&[("authorization", "Bearer the-callers-own"), ("sealgate-authorization", value)]);
        let found = f.who.identify(&map, Some("key=own"), Place::SealgateHeader, NOW);
        assert_eq!(found.map(|p| p.subject.expose().to_string()), Ok("ada".to_owned()));
    }
    let map = headers(&[("authorization", &bearer)]);
    let found = f.who.identify(&map, None, Place::SealgateHeader, NOW);
    assert_eq!(found.map(|_| ()), Err(Reason::IdentityMissing));
}

#[test]
fn expiry_and_revocation_count_at_once() {
    let f = fixture();
    let end = Timestamp::from_micros(NOW.micros() + 1);
    let (token, _) = f.store.create(NewToken { expires: Some(end), ..new("short") }).unwrap();
    let map = headers(&[("x-api-key", token.expose())]);
    let at = |now| f.who.identify(&map, None, Place::Usual, now).map(|_| ());
    assert_eq!((at(NOW), at(end)), (Ok(()), Err(Reason::IdentityExpired)));
    let revoked = f.store.revoke(&f.info.id).unwrap();
    assert_eq!(revoked.revoked, Some(NOW));
    assert_eq!(ask(&f, &[("x-api-key", &f.token)], None), Err(Reason::IdentityInvalid));
    assert!(matches!(f.store.revoke("tok_none"), Err(TokenError::Unknown(_))));
    assert_eq!(f.store.list().unwrap().len(), 2);
}

#[test]
fn a_change_by_another_process_counts_within_a_second() {
    let f = fixture();
    let other = TokenStore::open(&f.folder.path().join("tokens.sqlite"), Clock::system()).unwrap();
    let (token, info) = other.create(new("offline")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ask(&f, &[("x-api-key", token.expose())], None), Ok(info.id.clone()));
    other.revoke(&info.id).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ask(&f, &[("x-api-key", token.expose())], None), Err(Reason::IdentityInvalid));
}

#[test]
fn tokens_survive_a_restart_and_the_disk_never_holds_one() {
    let f = fixture();
    let path = f.folder.path().join("tokens.sqlite");
    let again = TokenStore::open(&path, Clock::held(NOW)).unwrap();
    assert_eq!(again.list().unwrap(), vec![f.info.clone()]);
    assert_eq!(f.info.roles, ["auditor", "developer"]);
    for file in std::fs::read_dir(f.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(!bytes.windows(f.token.len()).any(|w| w == f.token.as_bytes()), "{:?}", file.path());
    }
    let shown = format!("{:?} {:?} {}", f.store, f.info, serde_json::to_string(&f.info).unwrap());
    assert!(!shown.contains("hash") && !shown.contains(&f.token));
}

#[test]
fn unacceptable_fields_are_refused() {
    let f = fixture();
    for bad in [
        NewToken { user: " ".into(), ..new("a") },
        NewToken { name: "a\nb".into(), ..new("a") },
        NewToken { tenant: "a b".into(), ..new("a") },
        NewToken { roles: vec!["x y".into()], ..new("a") },
        NewToken { roles: (0..33).map(|n| format!("r{n}")).collect(), ..new("a") },
        NewToken { kind: PrincipalKind::Unauthenticated, ..new("a") },
    ] {
        assert!(f.store.create(bad.clone()).is_err(), "{bad:?}");
    }
    let text = r#"{"name":"a","user":"u","roles":[],"tenant":"t","kind":"agent","surprise":1}"#;
    assert!(serde_json::from_str::<NewToken>(text).is_err());
}

#[test]
fn an_unusable_store_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.sqlite");
    std::fs::write(&path, b"this is no database, and long enough to be taken for one by nobody at all").unwrap();
    let error = TokenStore::open(&path, Clock::system()).unwrap_err().to_string();
    assert!(error.contains("tokens.sqlite` cannot be used"), "{error}");
}

#[test]
fn the_dev_token_is_made_once_and_remade_when_lost() {
    let f = fixture();
    let path = f.folder.path().join("dev-token");
    let DevToken::Made(info) = dev_token(&f.store, &path, new("dev token")).unwrap() else { panic!("made") };
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(f.store.id_of(&Sensitive::new(text.trim().to_owned())), Some(info.id));
    assert_eq!(dev_token(&f.store, &path, new("dev token")).unwrap(), DevToken::Kept);
    std::fs::write(&path, "sg_of_another_store\n").unwrap();
    assert!(matches!(dev_token(&f.store, &path, new("dev token")).unwrap(), DevToken::Made(_)));
}

#[test]
fn stripping_takes_every_place_and_leaves_the_rest() {
    let all = [
        ("authorization", "Bearer a"),
        ("x-api-key", "a"),
        ("api-key", "a"),
        ("x-goog-api-key", "a"),
        ("x-amz-security-token", "a"),
        ("sealgate-authorization", "a"),
        ("sealgate-anything", "a"),
        ("anthropic-beta", "one"),
        ("anthropic-beta", "two"),
    ];
    let mut map = headers(&all);
    let cleaned = strip_credentials(&mut map, "/v1beta/models/m%3Ax?alt=sse&key=a&%6bey=b&z=%zz", Place::Usual);
    assert_eq!(cleaned, "/v1beta/models/m%3Ax?alt=sse&z=%zz");
    assert_eq!(map.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["anthropic-beta"]);
    assert_eq!(map.get_all("anthropic-beta").iter().count(), 2);
    for path in ["/a", "/a?", "/a?b=c&&d", "/a?monkey=1&c=key", "/%2f?beta=true"] {
        assert_eq!(strip_credentials(&mut map, path, Place::Usual), path);
    }
    assert_eq!(strip_credentials(&mut map, "/a?key=x", Place::Usual), "/a");
    let mut map = headers(&all);
    assert_eq!(strip_credentials(&mut map, "/a?key=x", Place::SealgateHeader), "/a?key=x");
    assert!(map.contains_key(AUTHORIZATION) && map.contains_key("x-api-key"));
    assert!(!map.keys().any(|name| name.as_str().starts_with("sealgate-")));
}

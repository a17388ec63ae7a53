//! Raw tables to a checked [`Config`].

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeValue;

use crate::types::{Digest, Mode};
use crate::vendor::DialectId;

use super::reader::{Reader, Table};
use super::{
    Config, ConfigFault, CredentialSource, Listen, RETENTION, RouteConfig, Tls, VendorConfig, defaults, retention,
};

/// Parses and checks one file.
pub(super) fn parse(file: &Path, text: &str) -> Result<Config, Vec<ConfigFault>> {
    let mut reader = Reader::new(file, text);
    let mut config = defaults::embedded();
    config.file = Some(file.to_owned());
    config.digest = Digest::of(text.as_bytes());
    config.data = reader.beside("data");
    if let Some(root) = reader.root() {
        let known = ["gateway", "listen", "store", "policy", "identity", "limits", "egress", "vendor", "route"];
        reader.only(&root, "the file", &known);
        gateway(&mut reader, &root, &mut config);
        listen(&mut reader, &root, &mut config.listen);
        store(&mut reader, &root, &mut config);
        limits(&mut reader, &root, &mut config);
        egress(&mut reader, &root, &mut config);
        vendors(&mut reader, &root, &mut config);
        routes(&mut reader, &root, &mut config);
    }
    if reader.faults.is_empty() { Ok(config) } else { Err(reader.faults) }
}

/// Checks what only the whole configuration tells, after the command line had its say.
pub(super) fn together(config: &Config) -> Vec<ConfigFault> {
    let file = config.file.as_ref().map_or_else(|| "embedded default".to_owned(), |file| file.display().to_string());
    let mut faults = Vec::new();
    let mut fault = |message: String| faults.push(ConfigFault { file: file.clone(), line: 0, message });
    let exposed = !config.listen.gateway.ip().is_loopback();
    if exposed && config.listen.tls == Tls::Off {
        fault(format!(
            "plain HTTP on {} would carry prompts and tokens in clear: set `tls` in [listen] to certificate and key files, \
             or to \"terminated\" if something in front terminates TLS",
            config.listen.gateway
        ));
    }
    if !config.listen.admin.ip().is_loopback() {
        fault(format!(
            "the admin listener on {} must stay on loopback: its endpoints need no credential there",
            config.listen.admin
        ));
    }
    if exposed && !config.durable {
        fault(
            "durability \"none\" voids the promise that records are on disk first; it is refused off loopback"
                .to_owned(),
        );
    }
    faults
}

fn gateway<'t>(reader: &mut Reader<'t>, root: &Table<'t>, config: &mut Config) {
    let Some(table) = reader.table(root, "gateway") else { return };
    reader.only(table, "[gateway]", &["name"]);
    config.gateway_name = reader.parsed(table, "name", |name| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
        if !name.is_empty() && name.len() <= 64 && name.bytes().all(fits) {
            Ok(name.to_owned())
        } else {
            Err("use 1 to 64 of `a-z`, `0-9`, `.` and `-`".to_owned())
        }
    });
}

fn listen<'t>(reader: &mut Reader<'t>, root: &Table<'t>, listen: &mut Listen) {
    let Some(table) = reader.table(root, "listen") else { return };
    reader.only(table, "[listen]", &["gateway", "admin", "tls"]);
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| "not an address such as `127.0.0.1:8080` or `[::1]:8080`".to_owned())
    };
    listen.gateway = reader.parsed(table, "gateway", address).unwrap_or(listen.gateway);
    listen.admin = reader.parsed(table, "admin", address).unwrap_or(listen.admin);
    let Some(value) = table.get("tls") else { return };
    let at = value.span().start;
    match value.get_ref() {
        DeValue::String(text) if text.as_ref() == "terminated" => listen.tls = Tls::Terminated,
        DeValue::Table(files) => {
            reader.only(files, "`tls`", &["certificate", "key"]);
            match (reader.path(files, "certificate"), reader.path(files, "key")) {
                (Some(certificate), Some(key)) => listen.tls = Tls::Files { certificate, key },
                _ => reader.fault(at, "`tls` needs `certificate` and `key`".to_owned()),
            }
        }
        _ => reader.fault(at, "`tls` is \"terminated\" or { certificate = \"…\", key = \"…\" }".to_owned()),
    }
}

fn store<'t>(reader: &mut Reader<'t>, root: &Table<'t>, config: &mut Config) {
    if let Some(table) = reader.table(root, "store") {
        reader.only(table, "[store]", &["dir", "durability"]);
        config.data = reader.path(table, "dir").unwrap_or(config.data.clone());
        let durable = reader.parsed(table, "durability", |text| match text {
            "sync" => Ok(true),
            "none" => Ok(false),
            _ => Err("is \"sync\" or \"none\"".to_owned()),
        });
        config.durable = durable.unwrap_or(true);
    }
    if let Some(table) = reader.table(root, "policy") {
        reader.only(table, "[policy]", &["dir"]);
        config.policy = reader.path(table, "dir");
    }
    if let Some(table) = reader.table(root, "identity") {
        reader.only(table, "[identity]", &[]);
    }
}

fn limits<'t>(reader: &mut Reader<'t>, root: &Table<'t>, config: &mut Config) {
    let Some(table) = reader.table(root, "limits") else { return };
    let known = [
        "body_bytes_max",
        "answer_bytes_max",
        "body_seconds",
        "delivery_seconds",
        "unauthenticated_records_per_second",
        "drain_seconds",
    ];
    reader.only(table, "[limits]", &known);
    let limits = &mut config.limits;
    if let Some(bytes) = reader.number(table, "body_bytes_max", 1..=1 << 30) {
        limits.body_bytes_max = bytes as usize;
    }
    if let Some(bytes) = reader.number(table, "answer_bytes_max", 1..=1 << 30) {
        limits.answer_bytes_max = bytes as usize;
    }
    limits.body_seconds = reader.number(table, "body_seconds", 1..=86_400).unwrap_or(limits.body_seconds);
    limits.delivery_seconds = reader.number(table, "delivery_seconds", 1..=86_400).unwrap_or(limits.delivery_seconds);
    if let Some(rate) = reader.number(table, "unauthenticated_records_per_second", 1..=1_000_000) {
        config.rates.unauthenticated_records_per_second = rate as u32;
    }
    config.rates.drain_seconds = reader.number(table, "drain_seconds", 0..=3600).unwrap_or(config.rates.drain_seconds);
}

fn egress<'t>(reader: &mut Reader<'t>, root: &Table<'t>, config: &mut Config) {
    let Some(table) = reader.table(root, "egress") else { return };
    reader.only(
        table,
        "[egress]",
        &["ca_file", "connect_seconds", "first_byte_seconds", "idle_seconds", "total_seconds"],
    );
    let egress = &mut config.egress;
    egress.ca_file = reader.path(table, "ca_file");
    for (name, slot) in [
        ("connect_seconds", &mut egress.connect_seconds),
        ("first_byte_seconds", &mut egress.first_byte_seconds),
        ("idle_seconds", &mut egress.idle_seconds),
        ("total_seconds", &mut egress.total_seconds),
    ] {
        *slot = reader.number(table, name, 1..=86_400).unwrap_or(*slot);
    }
}

fn vendors<'t>(reader: &mut Reader<'t>, root: &Table<'t>, config: &mut Config) {
    let mut seen = BTreeSet::new();
    for (at, table) in reader.tables(root, "vendor") {
        reader.only(table, "[[vendor]]", &["id", "dialect", "url", "credential"]);
        let Some((id_at, id)) = reader.string(table, "id") else {
            reader.fault(at, "a [[vendor]] needs an `id`".to_owned());
            continue;
        };
        name_fault(reader, id_at, "id", &id);
        if !seen.insert(id.clone()) {
            reader.fault(id_at, format!("vendor `{}` stands here twice", id.escape_debug()));
        }
        let dialects = dialects(reader, table, at);
        let url = reader.parsed(table, "url", url);
        if !table.contains_key("url") {
            reader.fault(at, "a [[vendor]] needs a `url` such as \"https://api.example.com\" or \"demo:\"".to_owned());
        }
        let credential = credential(reader, table);
        let vendor = VendorConfig { id: id.clone(), dialects, url: url.unwrap_or_default(), credential };
        config.vendors.retain(|other| other.id != id);
        config.vendors.push(vendor);
    }
}

fn dialects<'t>(reader: &mut Reader<'t>, table: &Table<'t>, at: usize) -> Vec<String> {
    let found = reader.strings(table, "dialect");
    if found.is_empty() {
        reader.fault(at, format!("a [[vendor]] needs a `dialect`: one or a list of {}", names()));
    }
    for (offset, name) in &found {
        if name.parse::<DialectId>().is_err() {
            reader.fault(*offset, format!("unknown dialect `{}`; known: {}", name.escape_debug(), names()));
        }
    }
    found.into_iter().map(|(_, name)| name).collect()
}

fn url(text: &str) -> Result<String, String> {
    if text == "demo:" {
        return Ok(text.to_owned());
    }
    let example = "use a URL such as `https://api.example.com` (or `demo:` for the built-in vendor)";
    let uri: http::Uri = text.parse().map_err(|_| example.to_owned())?;
    match (uri.scheme_str(), uri.authority(), uri.query()) {
        (Some("http" | "https"), Some(authority), None) if !authority.as_str().contains('@') => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(example.to_owned()),
    }
}

fn credential<'t>(reader: &mut Reader<'t>, table: &Table<'t>) -> CredentialSource {
    let Some((offset, text)) = reader.string(table, "credential") else { return CredentialSource::None };
    match text.split_once(':') {
        Some(("env", name)) if !name.is_empty() => CredentialSource::Env(name.to_owned()),
        Some(("file", path)) if !path.is_empty() => CredentialSource::File(reader.beside(path)),
        None if text == "caller" => CredentialSource::Caller,
        None if text == "none" => CredentialSource::None,
        _ => {
            // The value is not shown: somebody may have put the credential itself here.
            reader.fault(
                offset,
                "`credential` is \"env:NAME\", \"file:PATH\", \"caller\" or \"none\", never the credential itself"
                    .to_owned(),
            );
            CredentialSource::None
        }
    }
}

fn routes<'t>(reader: &mut Reader<'t>, root: &Table<'t>, config: &mut Config) {
    let tables = reader.tables(root, "route");
    if tables.is_empty() {
        return;
    }
    config.routes.clear();
    for (at, table) in tables {
        let route = route(reader, table, at, config);
        if config.routes.iter().any(|other| other.path == route.path) {
            reader.fault(at, format!("another route has the path `{}`", route.path.escape_debug()));
        }
        if config.routes.iter().any(|other| other.name == route.name) {
            reader.fault(at, format!("another route has the name `{}`", route.name.escape_debug()));
        }
        config.routes.push(route);
    }
}

fn route<'t>(reader: &mut Reader<'t>, table: &Table<'t>, at: usize, config: &Config) -> RouteConfig {
    reader.only(table, "[[route]]", &["name", "path", "vendor", "tenant", "mode", "label", "retention", "risk"]);
    let vendor = reader.string(table, "vendor").map(|(_, vendor)| vendor).unwrap_or_default();
    if !config.vendors.iter().any(|known| known.id == vendor) {
        let known: Vec<_> = config.vendors.iter().map(|vendor| vendor.id.as_str()).collect();
        reader.fault(
            at,
            format!(
                "route of vendor `{}`, which no [[vendor]] has as its id; known: {}",
                vendor.escape_debug(),
                known.join(", ")
            ),
        );
    }
    let mut route = defaults::route(&vendor);
    if let Some((offset, name)) = reader.string(table, "name") {
        name_fault(reader, offset, "name", &name);
        route.name = name;
    }
    let path = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte));
        let path = text.trim_end_matches('/');
        if path.starts_with('/') && plain { Ok(path.to_owned()) } else { Err("is a path such as `/openai`".to_owned()) }
    };
    route.path = reader.parsed(table, "path", path).unwrap_or(format!("/{}", route.name));
    if let Some((offset, tenant)) = reader.string(table, "tenant") {
        name_fault(reader, offset, "tenant", &tenant);
        route.tenant = tenant;
    }
    route.mode = reader.parsed(table, "mode", str::parse::<Mode>).unwrap_or(route.mode);
    route.label = reader.parsed(table, "label", str::parse).unwrap_or(route.label);
    let preset = |text: &str| {
        let names: Vec<_> = RETENTION.iter().map(|preset| preset.name).collect();
        retention::preset(text).ok_or_else(|| format!("`{}` is none of: {}", text.escape_debug(), names.join(", ")))
    };
    route.retention = reader.parsed(table, "retention", preset).unwrap_or(route.retention);
    let risk = |text: &str| match text {
        "high" | "limited" | "minimal" | "unassessed" => Ok(text.to_owned()),
        _ => Err("is one of high, limited, minimal, unassessed".to_owned()),
    };
    route.risk = reader.parsed(table, "risk", risk).unwrap_or(route.risk);
    route
}

/// Dialect names, for messages.
fn names() -> String {
    DialectId::ALL.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ")
}

/// Names stand in heads, metrics and file names.
fn name_fault(reader: &mut Reader<'_>, offset: usize, what: &str, name: &str) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || name == crate::types::NONE || !name.bytes().all(fits) {
        reader.fault(offset, format!("`{what}` is 1 to 64 of letters, digits, `.`, `_` and `-`, and not `none`"));
    }
}

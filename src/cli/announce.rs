//! What `serve` prints at its start and its end.

use std::fmt::Write;

use crate::app::{Drained, Started};
use crate::config::Config;

/// The lines of a start: what is where, and three lines that work as they stand.
pub(super) fn started(config: &Config, started: &Started) -> String {
    let mut out = String::new();
    let data = config.data.display();
    if started.is_new {
        let _ =
            writeln!(out, "New store: keys and log were made in {data}/ (back up {data}/keys apart from {data}/log).");
    }
    if let Some(recovery) = &started.recovery {
        let _ = writeln!(
            out,
            "Recovered: {} bytes of an unfinished group set aside, {} open requests closed as orphans.",
            recovery.bytes, recovery.orphans
        );
    }
    if !config.durable {
        out.push_str("WARNING: durability is \"none\": records may be lost, and every record says so.\n");
    }
    let scheme = if started.tls { "https" } else { "http" };
    let base = format!("{scheme}://{}", started.gateway);
    let _ = writeln!(out, "Sealgate {} is listening on {base} (log {})", env!("CARGO_PKG_VERSION"), started.origin);
    let _ = writeln!(
        out,
        "  The key that protects sections lies beside the data ({data}/keys/kek): keep {data} private.\n"
    );
    out.push_str(&examples(config, &base));
    let _ = writeln!(out, "Then look:");
    let (flags, program) = (flags(config), program());
    let _ = writeln!(out, "  {program} records list{flags}          what was decided, and why");
    let _ = writeln!(out, "  {program} records verify{flags}        whether the log is whole");
    let _ = writeln!(out, "  curl http://{}/metrics", started.admin);
    let _ = writeln!(out, "Log key for verifiers: {}", started.vkey);
    out
}

fn examples(config: &Config, base: &str) -> String {
    let Some(route) = config.routes.iter().find(|route| route.vendor == "demo") else {
        return String::new();
    };
    let url = format!("{base}{}/v1", route.path);
    let token = config.data.join("dev-token");
    let token = token.display();
    let curl = |text: &str| {
        format!(
            "  curl -s {url}/chat/completions -H \"Authorization: Bearer $(cat {token})\" -H 'Content-Type: application/json' \
             -d '{{\"model\":\"demo\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}'\n"
        )
    };
    let mut out = String::from("Try it (each line works as it stands, in this folder):\n");
    out.push_str(&curl("Hello from behind the gate"));
    out.push_str(&curl("Write to jane.doe@example.com about card 4111 1111 1111 1111"));
    let _ = writeln!(
        out,
        "  python3 -c \"from openai import OpenAI; print(OpenAI(base_url='{url}', api_key=open('{token}').read().strip())\
         .chat.completions.create(model='demo', messages=[{{'role': 'user', 'content': 'Hello'}}]).choices[0].message.content)\"  \
         # pip install openai\n"
    );
    out
}

/// How this program is called from this folder: by its name where that is on the path, else by where it lies.
fn program() -> String {
    let Ok(own) = std::env::current_exe() else { return NAME.to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(NAME) == own) {
        return NAME.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    own.strip_prefix(here).unwrap_or(&own).display().to_string()
}

/// The program's name.
const NAME: &str = "sealgate";

/// What a command in another terminal needs to find the same data.
fn flags(config: &Config) -> String {
    match &config.file {
        Some(file) if file != std::path::Path::new("sealgate.toml") => format!(" --config {}", file.display()),
        None if config.data != std::path::Path::new("data") => format!(" --data {}", config.data.display()),
        _ => String::new(),
    }
}

/// The line at the end.
pub(super) fn drained(drained: &Drained) -> String {
    let log = match drained.records {
        Some(records) => format!("the log holds {records} records and is closed"),
        None => "the log was not closed in order".to_owned(),
    };
    format!("Drained: {} requests finished, {} cut at the time limit; {log}.", drained.requests, drained.cut)
}

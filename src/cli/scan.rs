//! `sealgate scan [FILE|-]`.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app;
use crate::config::Config;
use crate::json::Document;
use crate::scan::Finding;

use super::table::{Column, Table, terminal_width};
use super::{Failure, IO, output};

/// Scan a file or standard input.
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// The file; `-` is standard input. JSON is read as JSON, anything else as text
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Output format
    #[arg(long, default_value = "table", value_parser = ["table", "json", "jsonl"])]
    format: String,
    /// Show the matched text too
    #[arg(long)]
    show: bool,
}

pub(super) fn run(args: &ScanArgs, config: &Config) -> Result<u8, Failure> {
    let (name, bytes) = read(args)?;
    let (_, set) = app::load_policy(config)?;
    let scanner = app::build_snapshot(set)?.scanner;
    let scan = match (Document::parse(&bytes), std::str::from_utf8(&bytes)) {
        (Ok(document), _) => scanner.document(&document),
        (Err(_), Ok(text)) => scanner.text(text),
        (Err(_), Err(error)) => {
            let message = format!("`{name}` is not UTF-8 text (byte {}): it cannot be scanned", error.valid_up_to());
            return Err(Failure::new(2, message));
        }
    };
    let lines = || scan.findings.iter().map(|finding| line(&name, finding, &bytes, args.show));
    match args.format.as_str() {
        "table" => output::print(table(&scan.findings, &bytes, args.show))?,
        "jsonl" => output::print(lines().map(|line| line + "\n").collect::<String>())?,
        _ => output::line(format_args!("[{}]", lines().collect::<Vec<_>>().join(",")))?,
    }
    let found = scan.findings.len();
    output::say(format_args!("{name}: {found} findings in {} bytes, coverage {}", bytes.len(), scan.coverage));
    Ok(0)
}

fn read(args: &ScanArgs) -> Result<(String, Vec<u8>), Failure> {
    let name = args.file.display().to_string();
    let mut bytes = Vec::new();
    let outcome = if name == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(&args.file).map(|read| bytes = read)
    };
    outcome.map_err(|error| Failure::new(IO, format!("cannot read `{name}`: {error}")))?;
    Ok((name, bytes))
}

fn line(file: &str, finding: &Finding, bytes: &[u8], show: bool) -> String {
    let mut value = json!({
        "file": file,
        "pointer": finding.pointer,
        "start": finding.start,
        "end": finding.end,
        "class": finding.class.as_str(),
        "detector": &*finding.detector,
        "likelihood": finding.likelihood,
        "validated": finding.validated,
    });
    if show {
        value["text"] = matched(finding, bytes).into();
    }
    value.to_string()
}

fn matched(finding: &Finding, bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(finding.start..finding.end).unwrap_or_default()).into_owned()
}

fn table(findings: &[Finding], bytes: &[u8], show: bool) -> String {
    let names = ["CLASS", "DETECTOR", "LIKELIHOOD", "VALIDATED", "BYTES", if show { "TEXT" } else { "POINTER" }];
    let mut table = Table::new(&names.map(|name| Column { name, width_min: 6, rank: 0, right: false }));
    for finding in findings {
        let last = if show { matched(finding, bytes) } else { finding.pointer.clone() };
        table.row(vec![
            finding.class.to_string(),
            finding.detector.to_string(),
            finding.likelihood.to_string(),
            if finding.validated { "yes" } else { "no" }.to_owned(),
            format!("{}-{}", finding.start, finding.end),
            last,
        ]);
    }
    table.render(terminal_width())
}

//! What can be asked: the arguments of `sealgate records`, each value checked as it is read.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use crate::env::Clock;
use crate::index::OPEN;
use crate::types::{AnswerOutcome, Label, Reason, RequestOutcome, Status, Timestamp};

/// Read, count and verify the sealed records.
#[derive(Debug, Args)]
pub struct RecordsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RecordsCommand,
}

/// The commands under `records`.
#[derive(Debug, Subcommand)]
pub enum RecordsCommand {
    /// Requests, newest first
    List(ListArgs),
    /// One request or record in full
    Show(ShowArgs),
    /// How many requests match
    Count(CountArgs),
    /// The newest requests, oldest first; `--follow` waits for more
    Tail(TailArgs),
    /// Counts by outcome, status, reason, label, class, vendor, model and policy
    Stats(CountArgs),
    /// Check the whole log: every signature, hash and root
    Verify(VerifyArgs),
}

/// Which requests: values of one option are alternatives, options narrow one another.
///
/// What both records of a request have (model, outcome, label, class, reason) matches in either.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// A pseudonym (or its beginning), `issuer subject`, a token's user, or a display name
    #[arg(long, value_name = "WHO")]
    pub identity: Option<String>,
    /// Not before: `2026-11-22T08:00:00Z`, a date, a month, a year, or `2h`, `7d` ago
    #[arg(long, value_name = "TIME", value_parser = parse_from)]
    pub from: Option<Timestamp>,
    /// Before; a date, month or year counts whole
    #[arg(long, value_name = "TIME", value_parser = parse_to)]
    pub to: Option<Timestamp>,
    /// Vendor id
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub vendor: Vec<String>,
    /// Model asked for or served
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub model: Vec<String>,
    /// Bundle: name, version, `name@version`, or its digest (8 digits or more)
    #[arg(long, value_name = "BUNDLE", value_delimiter = ',')]
    pub policy: Vec<String>,
    /// What was done: allowed, redacted, tokenized, denied; of the answer: released, redacted, cut, withheld
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',', value_parser = parse_outcome)]
    pub outcome: Vec<String>,
    /// public, internal, confidential, restricted or unclassified
    #[arg(long, value_name = "LABEL", value_delimiter = ',', value_parser = spelled::<Label>)]
    pub label: Vec<String>,
    /// Class found, such as `pii.email`; `pii` means every `pii.…`
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = parse_class)]
    pub class: Vec<String>,
    /// Route name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub route: Vec<String>,
    /// Tenant
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub tenant: Vec<String>,
    /// Reason, such as `dlp.pan`
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = spelled::<Reason>)]
    pub reason: Vec<String>,
    /// How it ended: completed, denied, not_sent, …; `open` = not ended yet
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse_status)]
    pub status: Vec<String>,
}

/// Arguments of `records list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Which requests.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// At most so many; 0 = all
    #[arg(long, default_value_t = LIMIT_DEFAULT)]
    pub limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Oldest first instead of newest first
    #[arg(long)]
    pub oldest_first: bool,
}

/// Arguments of `records tail`.
#[derive(Clone, Debug, Args)]
pub struct TailArgs {
    /// Which requests.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Begin with so many
    #[arg(long, default_value_t = LIMIT_DEFAULT)]
    pub limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Go on with each request as it completes, until interrupted
    #[arg(short, long)]
    pub follow: bool,
}

/// Arguments of `records count` and `records stats`.
#[derive(Clone, Debug, Args)]
pub struct CountArgs {
    /// Which requests.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Arguments of `records show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// A request id (header `sealgate-request`), a record id, `#INDEX`, or a `sealgate-record` value
    #[arg(value_name = "ID")]
    pub id: String,
    /// Decrypt and print the sections too; this reading is recorded as such
    #[arg(long)]
    pub sections: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Arguments of `records verify`.
#[derive(Clone, Debug, Default, Args)]
pub struct VerifyArgs {
    /// The log's public key from elsewhere (`sealgate key show`), as text or in a file: proves the origin
    #[arg(long, value_name = "VKEY|FILE")]
    pub vkey: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// RFC 4180, with a heading.
    Csv,
}

fn spelled<T: FromStr<Err = String> + std::fmt::Display>(text: &str) -> Result<String, String> {
    text.parse::<T>().map(|value| value.to_string())
}

fn parse_outcome(text: &str) -> Result<String, String> {
    if text.parse::<RequestOutcome>().is_ok() || text.parse::<AnswerOutcome>().is_ok() {
        return Ok(text.to_owned());
    }
    let mut all: Vec<&str> = RequestOutcome::ALL.iter().map(|o| o.as_str()).collect();
    all.extend(AnswerOutcome::ALL.iter().map(|o| o.as_str()).filter(|o| *o != "redacted"));
    Err(format!("`{}` is none of: {}", text.escape_debug(), all.join(", ")))
}

fn parse_status(text: &str) -> Result<String, String> {
    if text == OPEN {
        return Ok(text.to_owned());
    }
    spelled::<Status>(text).map_err(|error| format!("{error}, {OPEN}"))
}

fn parse_class(text: &str) -> Result<String, String> {
    crate::types::Class::new(text).map(|class| class.to_string())
}

fn parse_from(text: &str) -> Result<Timestamp, String> {
    match ago(text) {
        Some(time) => Ok(time),
        None => text.parse::<Timestamp>().map_err(|error| format!("{error}, nor an age such as `2h` or `7d`")),
    }
}

fn parse_to(text: &str) -> Result<Timestamp, String> {
    let time = parse_from(text)?;
    let days = match (text.len(), text.as_bytes()) {
        _ if ago(text).is_some() => return Ok(time),
        (10, _) => 1,
        (7, _) => return first_of_next_month(text),
        (4, _) => {
            return text.parse::<u32>().map_err(|_| "not a year".to_owned()).and_then(|y| (y + 1).to_string().parse());
        }
        _ => return Ok(time),
    };
    Ok(time.plus_days(days))
}

/// `YYYY-MM` to the first instant after it.
fn first_of_next_month(text: &str) -> Result<Timestamp, String> {
    let (year, month) = text.split_once('-').ok_or("not a month")?;
    let (year, month): (u32, u32) =
        (year.parse().map_err(|_| "not a year")?, month.parse().map_err(|_| "not a month")?);
    let (year, month) = if month >= 12 { (year + 1, 1) } else { (year, month + 1) };
    format!("{year:04}-{month:02}").parse()
}

/// `90s`, `15m`, `2h` or `7d` before now.
fn ago(text: &str) -> Option<Timestamp> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let micros = digits.parse::<i64>().ok().filter(|n| *n >= 0)?.checked_mul(seconds * 1_000_000)?;
    Some(Timestamp::from_micros(Clock::system().now().micros().saturating_sub(micros)))
}

/// Rows shown when `--limit` is not given.
const LIMIT_DEFAULT: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_dates_months_years_or_ages() {
        let spelled = |time: Result<Timestamp, String>| time.map(|t| t.to_string());
        assert_eq!(spelled(parse_from("2026-11-22")), Ok("2026-11-22T00:00:00.000000Z".to_owned()));
        assert_eq!(spelled(parse_to("2026-11-22")), Ok("2026-11-23T00:00:00.000000Z".to_owned()));
        assert_eq!(spelled(parse_to("2026-12")), Ok("2027-01-01T00:00:00.000000Z".to_owned()));
        assert_eq!(spelled(parse_to("2026")), Ok("2027-01-01T00:00:00.000000Z".to_owned()));
        assert_eq!(spelled(parse_to("2026-11-22T01:02:03Z")), Ok("2026-11-22T01:02:03.000000Z".to_owned()));
        let day = Clock::system().now().micros() - parse_from("1d").expect("an age").micros();
        assert!((day - 86_400_000_000).abs() < 60_000_000);
        for bad in ["", "yesterday", "2026-13", "22.11.2026", "-5m"] {
            assert!(parse_from(bad).is_err(), "{bad}");
            assert!(parse_to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_value_names_the_right_ones() {
        assert!(parse_outcome("maybe").expect_err("no").contains("allowed, redacted, tokenized, denied, released"));
        assert!(parse_status("maybe").expect_err("no").contains("orphan, open"));
        assert!(spelled::<Label>("secret").expect_err("no").contains("public, internal"));
        assert_eq!(parse_outcome("cut"), Ok("cut".to_owned()));
    }
}

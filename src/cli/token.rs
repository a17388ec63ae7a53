//! `sealgate token new|list|revoke`.

use clap::{Args, Subcommand};

use crate::admin::{self, TokenAnswer, TokenRevoke};
use crate::app::Offline;
use crate::config::Config;
use crate::env::Clock;
use crate::identity::{NewToken, TokenError, TokenInfo, TokenStore};
use crate::record::event::{By, Stamp};
use crate::types::{PrincipalKind, Timestamp};

use super::table::{Column, Table, terminal_width};
use super::{Failure, IO, output, socket};

/// Client tokens.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it is printed once and kept only as a hash
    New(NewArgs),
    /// Every token, without the tokens themselves
    List {
        /// Output format
        #[arg(long, default_value = "table", value_parser = ["table", "json"])]
        format: String,
    },
    /// End a token at once
    Revoke {
        /// The token's id, from `token list`
        id: String,
    },
}

#[derive(Debug, Args)]
struct NewArgs {
    /// What the token is for, e.g. `ci` or `laptop`
    #[arg(long)]
    name: String,
    /// Whom its requests are attributed to
    #[arg(long)]
    user: String,
    /// A role; repeat for more
    #[arg(long = "role", required = true)]
    roles: Vec<String>,
    /// The tenant whose routes it may use
    #[arg(long, default_value = "default")]
    tenant: String,
    /// human, service or agent
    #[arg(long, default_value = "human", value_parser = kind)]
    kind: PrincipalKind,
    /// When it ends: a time, or `30d`, `12h` from now
    #[arg(long, value_parser = expiry)]
    expires: Option<Timestamp>,
}

pub(super) fn run(args: &TokenArgs, config: &Config) -> Result<u8, Failure> {
    match &args.command {
        TokenCommand::New(new) => create(new, config),
        TokenCommand::List { format } => list(format, config),
        TokenCommand::Revoke { id } => revoke(id, config),
    }
}

fn create(args: &NewArgs, config: &Config) -> Result<u8, Failure> {
    // Before anything is opened: a refused token leaves no store and no record behind.
    let new = NewToken {
        name: args.name.clone(),
        user: args.user.clone(),
        roles: args.roles.clone(),
        tenant: args.tenant.clone(),
        kind: args.kind,
        expires: args.expires,
    }
    .checked()
    .map_err(|error| fault(&error))?;
    let body = serde_json::to_vec(&new).map_err(|error| Failure::new(2, error.to_string()))?;
    let (made, closed) = match socket::post(&config.data, "/tokens", &body)? {
        Some(answer) if answer.status == 201 => {
            let made = serde_json::from_str(&answer.body).map_err(|error| Failure::new(IO, error.to_string()))?;
            (made, Ok(()))
        }
        Some(answer) => return Err(refused(&answer)),
        None => created_offline(new, config)?,
    };
    let TokenAnswer { token, info } = made;
    output::say(format_args!(
        "Token {} for user {} (roles {}, tenant {}). It is shown once:",
        info.id,
        info.user,
        info.roles.join(","),
        info.tenant
    ));
    output::line(&token)?;
    closed.map(|()| 0)
}

/// The token made and recorded, and whether the log could be closed behind it: a token in force is shown either way.
fn created_offline(new: NewToken, config: &Config) -> Result<(TokenAnswer, Result<(), Failure>), Failure> {
    let offline = Offline::open(config)?;
    let made = make(new, &offline);
    let closed = offline.close().map_err(|error| {
        Failure::new(IO, format!("the token is in force, but the log was not closed in order: {error}"))
    });
    Ok((made?, closed))
}

fn make(new: NewToken, offline: &Offline) -> Result<TokenAnswer, Failure> {
    let (token, info) = offline.tokens().create(new).map_err(|error| fault(&error))?;
    let stamp = Stamp::new(offline.clock().now());
    match offline.append(admin::created(offline.keys(), stamp, &info, By::Operator)) {
        Ok(()) => Ok(TokenAnswer { token: token.expose().clone(), info }),
        // A token without its record must not stay in force.
        Err(error) => match offline.tokens().revoke(&info.id) {
            Ok(_) => Err(error.into()),
            Err(left) => Err(Failure::new(IO, format!("{error}; token {} is still in force: {left}", info.id))),
        },
    }
}

fn revoke(id: &str, config: &Config) -> Result<u8, Failure> {
    let body =
        serde_json::to_vec(&TokenRevoke { id: id.to_owned() }).map_err(|error| Failure::new(2, error.to_string()))?;
    match socket::post(&config.data, "/tokens/revoke", &body)? {
        Some(answer) if answer.status == 200 => {}
        Some(answer) => return Err(refused(&answer)),
        None => revoked_offline(id, config)?,
    }
    output::line(format_args!("Revoked {id}: refused from now on."))?;
    Ok(0)
}

fn revoked_offline(id: &str, config: &Config) -> Result<(), Failure> {
    // Looked for before the log is opened: asking for what is not there makes no store and no record.
    if !kept(config)?.iter().any(|info| info.id == id) {
        return Err(fault(&TokenError::Unknown(id.to_owned())));
    }
    let offline = Offline::open(config)?;
    let ended = offline.tokens().revoke(id).map_err(|error| fault(&error));
    let recorded = ended.and_then(|info| {
        let stamp = Stamp::new(offline.clock().now());
        offline
            .append(admin::revoked(offline.keys(), stamp, &info, By::Operator))
            .map_err(|error| Failure::new(IO, format!("the token is revoked, but that could not be recorded: {error}")))
    });
    let closed = offline.close().map_err(|error| {
        Failure::new(IO, format!("the token is revoked, but the log was not closed in order: {error}"))
    });
    recorded.and(closed)
}

/// Every token of the data directory; none where no token was ever made there.
fn kept(config: &Config) -> Result<Vec<TokenInfo>, Failure> {
    let data = config.data.display();
    match config.data.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(Failure::new(IO, format!("there is no data directory `{data}`"))),
        Err(error) => return Err(Failure::new(IO, format!("cannot read the data directory `{data}`: {error}"))),
    }
    let path = config.data.join("tokens.sqlite");
    match path.try_exists() {
        Ok(false) => Ok(Vec::new()),
        _ => TokenStore::open(&path, Clock::system()).and_then(|store| store.list()).map_err(|error| fault(&error)),
    }
}

fn list(format: &str, config: &Config) -> Result<u8, Failure> {
    let tokens = kept(config)?;
    if tokens.is_empty() && format == "table" {
        output::line("No tokens yet: `sealgate token new --name … --user … --role …` makes one.")?;
        return Ok(0);
    }
    if format == "json" {
        output::line(serde_json::to_string_pretty(&tokens).map_err(|error| Failure::new(IO, error.to_string()))?)?;
        return Ok(0);
    }
    let columns = ["ID", "NAME", "USER", "ROLES", "TENANT", "KIND", "STATE"].map(|name| Column {
        name,
        width_min: 6,
        rank: 0,
        right: false,
    });
    let mut table = Table::new(&columns);
    let now = Clock::system().now();
    for info in &tokens {
        let state = match (info.revoked, info.expires) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(end)) if end <= now => "expired".to_owned(),
            (None, Some(end)) => format!("until {}", end.to_string().get(..10).unwrap_or_default()),
            (None, None) => "in force".to_owned(),
        };
        let cells = [&info.id, &info.name, &info.user, &info.roles.join(","), &info.tenant];
        let mut row: Vec<String> = cells.iter().map(|cell| (*cell).clone()).collect();
        row.extend([info.kind.to_string(), state]);
        table.row(row);
    }
    output::print(table.render(terminal_width()))?;
    Ok(0)
}

/// A wrong field or id is the caller's: 2; the disk's failures are 74.
fn fault(error: &TokenError) -> Failure {
    let code = if matches!(error, TokenError::Store { .. }) { IO } else { 2 };
    Failure::new(code, error.to_string())
}

fn refused(answer: &socket::Answer) -> Failure {
    let code = if answer.status >= 500 { IO } else { 2 };
    Failure::new(code, answer.body.trim())
}

fn kind(text: &str) -> Result<PrincipalKind, String> {
    match text.parse() {
        Ok(PrincipalKind::Unauthenticated) | Err(_) => Err("is one of human, service, agent".to_owned()),
        Ok(kind) => Ok(kind),
    }
}

/// A time, or a span from now.
fn expiry(text: &str) -> Result<Timestamp, String> {
    let now = Clock::system().now();
    let span = |unit: char, micros: i64| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        (1..=36_500).contains(&number).then(|| Timestamp::from_micros(now.micros() + number * micros))
    };
    span('d', 86_400_000_000)
        .or_else(|| span('h', 3_600_000_000))
        .map_or_else(|| text.parse().map_err(|error| format!("{error}, or a span such as `30d` or `12h`")), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn config(data: &std::path::Path) -> Config {
        let overrides = Overrides { config: None, data: Some(data.to_owned()), gateway: None, admin: None };
        Config::load(&overrides).expect("the embedded default")
    }

    fn asked(user: &str) -> NewArgs {
        let (name, roles, tenant) = ("ci".to_owned(), vec!["developer".to_owned()], "default".to_owned());
        NewArgs { name, user: user.to_owned(), roles, tenant, kind: PrincipalKind::Human, expires: None }
    }

    #[test]
    fn what_is_refused_leaves_no_store_and_no_record() {
        let folder = tempfile::tempdir().expect("folder");
        let config = config(&folder.path().join("data"));
        assert_eq!(create(&asked(" "), &config).expect_err("refused").code, 2);
        assert_eq!(revoke("tok_0", &config).expect_err("refused").code, IO);
        assert_eq!(list("table", &config).expect_err("refused").code, IO);
        assert!(!config.data.exists());
        std::fs::create_dir(&config.data).expect("made");
        assert_eq!(revoke("tok_0", &config).expect_err("refused").code, 2);
        assert_eq!(std::fs::read_dir(&config.data).expect("folder").count(), 0);
        std::fs::write(config.data.join("tokens.sqlite"), [7; 4096]).expect("written");
        assert_eq!(list("table", &config).expect_err("refused").code, IO);
        assert_eq!(revoke("tok_0", &config).expect_err("refused").code, IO);
    }

    #[test]
    fn an_unknown_token_is_not_revoked_and_appends_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let config = config(&folder.path().join("data"));
        assert_eq!(create(&asked("ada"), &config).expect("made"), 0);
        let segment = config.data.join("log/1/000000000000.jsonl");
        let before = std::fs::read(&segment).expect("segment");
        assert_eq!(revoke("tok_0", &config).expect_err("refused").code, 2);
        assert_eq!(std::fs::read(&segment).expect("segment"), before);
        let id = kept(&config).expect("listed").remove(0).id;
        assert_eq!(revoke(&id, &config).expect("revoked"), 0);
        assert!(std::fs::read(&segment).expect("segment").len() > before.len());
    }
}

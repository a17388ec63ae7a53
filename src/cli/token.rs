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
    let new = NewToken {
        name: args.name.clone(),
        user: args.user.clone(),
        roles: args.roles.clone(),
        tenant: args.tenant.clone(),
        kind: args.kind,
        expires: args.expires,
    };
    let body = serde_json::to_vec(&new).map_err(|error| Failure::new(2, error.to_string()))?;
    let (token, info) = match socket::post(&config.data, "/tokens", &body)? {
        Some(answer) if answer.status == 201 => {
            let made: TokenAnswer =
                serde_json::from_str(&answer.body).map_err(|error| Failure::new(IO, error.to_string()))?;
            (made.token, made.info)
        }
        Some(answer) => return Err(refused(&answer)),
        None => created_offline(new, config)?,
    };
    output::say(format_args!(
        "Token {} for user {} (roles {}, tenant {}). It is shown once:",
        info.id,
        info.user,
        info.roles.join(","),
        info.tenant
    ));
    output::line(&token)?;
    Ok(0)
}

fn created_offline(new: NewToken, config: &Config) -> Result<(String, TokenInfo), Failure> {
    let offline = Offline::open(config)?;
    let made = offline.tokens().create(new).map_err(|error| fault(&error));
    let made = made.and_then(|(token, info)| {
        let stamp = Stamp::new(offline.clock().now());
        offline.append(admin::created(offline.keys(), stamp, &info, By::Operator))?;
        Ok((token.expose().clone(), info))
    });
    offline.close()?;
    made
}

fn revoke(id: &str, config: &Config) -> Result<u8, Failure> {
    let body =
        serde_json::to_vec(&TokenRevoke { id: id.to_owned() }).map_err(|error| Failure::new(2, error.to_string()))?;
    match socket::post(&config.data, "/tokens/revoke", &body)? {
        Some(answer) if answer.status == 200 => {}
        Some(answer) => return Err(refused(&answer)),
        None => {
            let offline = Offline::open(config)?;
            let ended = offline.tokens().revoke(id).map_err(|error| fault(&error));
            let ended = ended.and_then(|info| {
                let stamp = Stamp::new(offline.clock().now());
                Ok(offline.append(admin::revoked(offline.keys(), stamp, &info, By::Operator))?)
            });
            offline.close()?;
            ended?;
        }
    }
    output::line(format_args!("Revoked {id}: refused from now on."))?;
    Ok(0)
}

fn list(format: &str, config: &Config) -> Result<u8, Failure> {
    let path = config.data.join("tokens.sqlite");
    if !path.exists() {
        output::line("No tokens yet: `sealgate token new --name … --user … --role …` makes one.")?;
        return Ok(0);
    }
    let tokens =
        TokenStore::open(&path, Clock::system()).and_then(|store| store.list()).map_err(|error| fault(&error))?;
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

fn fault(error: &TokenError) -> Failure {
    Failure::new(2, error.to_string())
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

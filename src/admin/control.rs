//! Commands of the control socket. Each appends its record before it is answered as done.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::identity::{NewToken, TokenError, TokenInfo};
use crate::ledger::LedgerError;
use crate::record::event::{self, Access, By, Stamp, Token};
use crate::record::{Draft, EventHead, Head, Kind, pseudonym};
use crate::store::KeyStore;
use crate::types::{Digest, Fact};

use super::Admin;
use super::respond::{Answer, json, text};

/// `POST /access`: somebody read records.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    /// `list`, `show`, `count`, `tail`, `stats` or `verify`.
    pub command: String,
    /// Names of the filters used.
    pub fields: Vec<String>,
    /// Keyed digest of the filter, which may name a person.
    pub filter: Digest,
    /// `access.query`.
    pub kind: String,
    /// Requests or records shown.
    pub rows: u64,
    /// The log size the answer covers.
    pub size: u64,
}

/// The commands that read records.
const COMMANDS: &[&str] = &["list", "show", "count", "tail", "stats", "verify"];

/// `POST /tokens` answers with this; the token is shown here and never again.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The token itself.
    pub token: String,
    /// What may be shown of it later.
    pub info: TokenInfo,
}

/// `POST /tokens/revoke`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRevoke {
    /// The token's public id.
    pub id: String,
}

pub(super) async fn access(admin: &Admin, body: &[u8]) -> Answer {
    let request: AccessRequest = match parsed(body) {
        Ok(request) => request,
        Err(answer) => return *answer,
    };
    let plain = |word: &String| !word.is_empty() && word.len() <= 32 && word.bytes().all(|b| b.is_ascii_lowercase());
    let known = COMMANDS.iter().find(|known| **known == request.command);
    let well_formed = request.kind == Kind::AccessQuery.as_str() && request.fields.len() <= 32;
    let (Some(command), true, true) = (known, well_formed, request.fields.iter().all(plain)) else {
        return text(StatusCode::BAD_REQUEST, "the control socket takes `access.query` of a known command\n");
    };
    let what = Access { command, filter: &request.filter, rows: request.rows, size: request.size };
    let fields = Fact::List(request.fields.into_iter().map(Fact::from).collect());
    let head = event::access_query(Stamp::new(admin.clock.now()), &what, By::Operator).with("fields", fields);
    match append(admin, head).await {
        Ok(()) => text(StatusCode::OK, "recorded\n"),
        Err(error) => {
            admin.metrics.unrecorded_reads.inc();
            unavailable(&error)
        }
    }
}

pub(super) async fn create(admin: &Admin, body: &[u8]) -> Answer {
    let new: NewToken = match parsed(body) {
        Ok(new) => new,
        Err(answer) => return *answer,
    };
    if let Some(obstacle) = admin.ledger.obstacle() {
        return unavailable(&obstacle);
    }
    let (token, info) = match admin.tokens.create(new) {
        Ok(made) => made,
        Err(error) => return token_fault(&error),
    };
    let head = created(&admin.keys, Stamp::new(admin.clock.now()), &info, By::Operator);
    match append(admin, head).await {
        Ok(()) => json(StatusCode::CREATED, &TokenAnswer { token: token.expose().clone(), info }),
        Err(error) => {
            // A token without its record must not be in force.
            let _ = admin.tokens.revoke(&info.id);
            unavailable(&error)
        }
    }
}

pub(super) async fn revoke(admin: &Admin, body: &[u8]) -> Answer {
    let request: TokenRevoke = match parsed(body) {
        Ok(request) => request,
        Err(answer) => return *answer,
    };
    // Revocation takes effect even where it cannot be recorded: the safer of the two failures.
    let info = match admin.tokens.revoke(&request.id) {
        Ok(info) => info,
        Err(error) => return token_fault(&error),
    };
    let head = revoked(&admin.keys, Stamp::new(admin.clock.now()), &info, By::Operator);
    match append(admin, head).await {
        Ok(()) => json(StatusCode::OK, &info),
        Err(error) => unavailable(&error),
    }
}

/// Loading a bundle takes a while: health and metrics go on being answered.
pub(super) async fn reload(admin: Arc<Admin>) -> Answer {
    match tokio::task::spawn_blocking(move || (admin.reload)()).await {
        Ok(Ok(line)) => text(StatusCode::OK, format!("{line}\n")),
        Ok(Err(line)) => text(StatusCode::UNPROCESSABLE_ENTITY, format!("{line}\n")),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the reload failed: see the gateway's log\n"),
    }
}

/// `token.created` for this token.
pub fn created(keys: &KeyStore, stamp: Stamp, info: &TokenInfo, by: By<'_>) -> EventHead {
    let roles: Vec<Arc<str>> = info.roles.iter().map(|role| role.as_str().into()).collect();
    let token = Token {
        id: &info.id,
        subject: &subject(keys, info),
        tenant: &info.tenant,
        principal: info.kind,
        roles: &roles,
        expires: info.expires,
    };
    event::token_created(stamp, &token, by)
}

/// `token.revoked` for this token.
pub fn revoked(keys: &KeyStore, stamp: Stamp, info: &TokenInfo, by: By<'_>) -> EventHead {
    event::token_revoked(stamp, &info.id, &subject(keys, info), &info.tenant, by)
}

/// The pseudonym of a token's user.
fn subject(keys: &KeyStore, info: &TokenInfo) -> String {
    match keys.pseudonym_key(&info.tenant) {
        Ok((version, key)) => pseudonym(&key, version, crate::identity::ISSUER, &info.user),
        Err(_) => crate::types::NONE.to_owned(),
    }
}

async fn append(admin: &Admin, head: EventHead) -> Result<(), LedgerError> {
    admin.ledger.append(Draft::bare(Head::Event(head))).await.map(|_| ())
}

fn parsed<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Box<Answer>> {
    // The message names fields, never the values.
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("malformed command at line {} column {}\n", error.line(), error.column());
        Box::new(text(StatusCode::BAD_REQUEST, message))
    })
}

fn token_fault(error: &TokenError) -> Answer {
    let status = match error {
        TokenError::Store { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    text(status, format!("{error}\n"))
}

fn unavailable(error: &LedgerError) -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
}

//! The parts that commands use without a running gateway too: the log, the tokens, the dev token.

use std::sync::Arc;

use crate::config::Config;
use crate::env::Clock;
use crate::identity::{DevToken, NewToken, TokenInfo, TokenStore, dev_token as make_dev_token};
use crate::ledger::{self, BootFacts, Durability, Ledger, LedgerConfig, Opened};
use crate::policy::ADMIN_ROLES;
use crate::record::{Draft, EventHead, Head};
use crate::store::Paths;
use crate::telemetry::Metrics;
use crate::types::PrincipalKind;

use super::AppError;

/// Opens the log to append to it: takes the lock, recovers, writes the boot records.
pub(super) fn open_ledger(config: &Config, clock: Clock, metrics: Arc<Metrics>) -> Result<Opened, AppError> {
    let settings = LedgerConfig {
        data: config.data.clone(),
        durability: if config.durable { Durability::Sync } else { Durability::None },
        gateway_name: config.gateway_name.clone(),
        ..LedgerConfig::default()
    };
    let facts =
        BootFacts { version: env!("CARGO_PKG_VERSION").to_owned(), config_digest: config.digest, fleet: Vec::new() };
    Ok(ledger::open(settings, clock, metrics, facts)?)
}

/// The token store of a data directory.
pub(super) fn token_store(paths: &Paths, clock: &Clock) -> Result<TokenStore, AppError> {
    TokenStore::open(&paths.data().join("tokens.sqlite"), clock.clone())
        .map_err(|error| AppError::Io(error.to_string()))
}

/// Makes the dev token unless it is there; what was made.
pub(super) fn dev_token(tokens: &TokenStore, paths: &Paths) -> Result<Option<TokenInfo>, AppError> {
    let new = NewToken {
        name: "dev-token".to_owned(),
        user: "developer".to_owned(),
        roles: ADMIN_ROLES.iter().map(|&role| role.to_owned()).collect(),
        tenant: "default".to_owned(),
        kind: PrincipalKind::Human,
        expires: None,
    };
    match make_dev_token(tokens, &paths.data().join("dev-token"), new)
        .map_err(|error| AppError::Io(error.to_string()))?
    {
        DevToken::Made(info) => Ok(Some(info)),
        DevToken::Kept => Ok(None),
    }
}

/// The log and the tokens while no gateway runs: appends stand between their own `boot` and `shutdown`.
pub struct Offline {
    opened: Opened,
    tokens: TokenStore,
    clock: Clock,
}

impl Offline {
    /// Takes the store lock and opens everything.
    pub fn open(config: &Config) -> Result<Self, AppError> {
        let clock = Clock::system();
        let metrics = Arc::new(Metrics::new().map_err(AppError::io("cannot register metrics"))?);
        let opened = open_ledger(config, clock.clone(), metrics)?;
        let tokens = token_store(&Paths::new(&config.data), &clock)?;
        Ok(Offline { opened, tokens, clock })
    }

    /// The tokens.
    pub fn tokens(&self) -> &TokenStore {
        &self.tokens
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The keys.
    pub fn keys(&self) -> &crate::store::KeyStore {
        &self.opened.keys
    }

    /// Appends one event, durable on return.
    pub fn append(&self, head: EventHead) -> Result<(), AppError> {
        append(&self.opened.ledger, head).map_err(AppError::Io)
    }

    /// Writes `shutdown` and closes the log.
    pub fn close(self) -> Result<(), AppError> {
        self.opened.threads.shutdown().map(|_| ()).map_err(|error| AppError::Io(error.to_string()))
    }
}

/// Appends one event from a thread that may block, on a runtime made for it; durable on return.
pub(super) fn append(ledger: &Ledger, head: EventHead) -> Result<(), String> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let appended = runtime.block_on(ledger.append(Draft::bare(Head::Event(head))));
        appended.map(|_| ()).map_err(|error| error.to_string())
    };
    let joined = std::thread::scope(|scope| scope.spawn(work).join());
    joined.unwrap_or_else(|_| Err("the appending thread panicked".to_owned()))
}

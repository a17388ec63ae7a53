//! `serve`: everything started in order, then waited on.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::config::{Config, Tls};
use crate::demo;
use crate::env::Clock;
use crate::identity::{Authenticator, TokenStore};
use crate::index;
use crate::ledger::{Farewell, Opened, RecoverySummary};
use crate::pipeline::{self, Flood, Gate, GateParts, Snapshot};
use crate::record::event::{self, By, Stamp};
use crate::record::{Draft, Head};
use crate::serve::{self, Certificates, Hooks, Listeners, ServeLimits, TlsFiles, TlsFilesError};
use crate::store::Paths;
use crate::telemetry::Metrics;
use crate::types::{Digest, Reason};
use crate::upstream::Upstreams;

use super::drain::{self, Drained, Refusals};
use super::reload::Reloader;
use super::{AppError, bundle, fleet, offline};

/// What a start tells whoever started it.
pub struct Started {
    /// Where SDKs connect.
    pub gateway: SocketAddr,
    /// Whether that is TLS.
    pub tls: bool,
    /// Where metrics are.
    pub admin: SocketAddr,
    /// The log's origin.
    pub origin: String,
    /// The log key for verifiers.
    pub vkey: String,
    /// Whether keys and store were made just now.
    pub is_new: bool,
    /// What recovery did.
    pub recovery: Option<RecoverySummary>,
}

impl Started {
    fn of(config: &Config, opened: &Opened, gateway: SocketAddr, admin: SocketAddr) -> Self {
        Started {
            gateway,
            tls: matches!(config.listen.tls, Tls::Files { .. }),
            admin,
            origin: opened.origin.clone(),
            vkey: opened.log_vkey.clone(),
            is_new: opened.is_new,
            recovery: opened.recovery.clone(),
        }
    }
}

/// Runs the gateway until SIGINT or SIGTERM, then drains. `announce` is called once, when everything listens.
pub fn serve(config: &Config, announce: impl FnOnce(&Started)) -> Result<Drained, AppError> {
    let Base { metrics, clock, listeners, admin_listener, tls, opened, paths, tokens, snapshot } = Base::open(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(AppError::io("cannot start a runtime"))?;
    let signals = runtime.block_on(async { drain::Signals::listen() });
    let demo = match fleet::wants_demo(config) {
        true => Some(runtime.block_on(demo::start()).map_err(AppError::io("cannot start the built-in vendor"))?),
        false => None,
    };
    let upstreams = fleet::upstreams(config, demo.as_ref().map(|(address, _)| *address))?;
    runtime.block_on(first_records(&config.digest, &opened, &tokens, &paths, &clock, &snapshot))?;
    let gate = gate(config, &opened, &upstreams, &metrics, &clock, &tokens, snapshot);
    show_policy(&metrics, &gate);

    let (stop_admin, admin_stopped) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let reload = Arc::new(Reloader::new(config, &gate, &metrics, &clock, &paths, &opened.ledger));
    let admin = Arc::new(Admin {
        metrics: metrics.clone(),
        ledger: opened.ledger.clone(),
        gate: gate.clone(),
        tokens,
        keys: opened.keys.clone(),
        clock: clock.clone(),
        reload: {
            let reload = reload.clone();
            Box::new(move || reload.run())
        },
    });
    let admin = admin::start(admin, admin_listener, &paths.data().join("admin.sock"), admin_stopped);
    let admin = admin.map_err(|error| AppError::Io(error.to_string()))?;
    let follower = index::follow(&config.data, Some(opened.keys.clone()), opened.ledger.committed(), metrics);
    let follower = follower.map_err(AppError::io("cannot start the index thread"))?;
    let data_plane = data_plane(config, &gate, upstreams, listeners, tls, stopped)?;
    announce(&Started::of(config, &opened, data_plane.address(), admin.address()));

    let mut refusals = Refusals::new(&gate, &opened.ledger, &clock);
    runtime.block_on(drain::wait(signals, &reload, &mut refusals));
    gate.drain();
    let _ = stop.send(true);
    let report = data_plane.join().map_err(|error| AppError::Io(error.to_string()))?;
    runtime.block_on(refusals.flush());
    let (drained, cut) = (report.requests_drained, report.requests_aborted);
    let ended = opened.threads.shutdown_with(Farewell { why: "signal", drained, cut });
    follower.shutdown();
    let _ = stop_admin.send(true);
    admin.join();
    drop(demo);
    Ok(Drained::new(&report, ended))
}

/// The gate over what was opened.
fn gate(
    config: &Config,
    opened: &Opened,
    upstreams: &Upstreams,
    metrics: &Arc<Metrics>,
    clock: &Clock,
    tokens: &TokenStore,
    snapshot: Snapshot,
) -> Arc<Gate> {
    Arc::new(Gate::new(GateParts {
        routes: fleet::routes(config),
        identity: Arc::new(Authenticator::new(tokens.clone())),
        ledger: opened.ledger.clone(),
        keys: opened.keys.clone(),
        upstreams: upstreams.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        limits: config.limits,
        durability: opened.ledger.durability().as_str().into(),
        flood: Flood::new(config.rates.unauthenticated_records_per_second),
        snapshot,
    }))
}

/// Starts the cores, each with vendor connections of its own.
fn data_plane(
    config: &Config,
    gate: &Arc<Gate>,
    upstreams: Upstreams,
    listeners: Listeners,
    tls: Option<Certificates>,
    stopped: watch::Receiver<bool>,
) -> Result<serve::Running, AppError> {
    let limits = ServeLimits { drain_seconds: config.rates.drain_seconds, ..ServeLimits::default() };
    let hooks = hooks(gate);
    let gate = gate.clone();
    let make = move |_core| {
        let (gate, pool) = (gate.clone(), upstreams.for_this_runtime());
        move |request, _peer| pipeline::handle(gate.clone(), pool.clone(), request)
    };
    serve::start(listeners, make, limits, tls, hooks, stopped).map_err(|error| AppError::Io(error.to_string()))
}

/// What must be in order before anything answers.
struct Base {
    metrics: Arc<Metrics>,
    clock: Clock,
    listeners: Listeners,
    admin_listener: TcpListener,
    tls: Option<Certificates>,
    opened: Opened,
    paths: Paths,
    tokens: TokenStore,
    snapshot: Snapshot,
}

impl Base {
    /// Policy, scanner, certificates and the port first: none of them writes anything. Then the log.
    fn open(config: &Config) -> Result<Self, AppError> {
        let metrics = Arc::new(Metrics::new().map_err(AppError::io("cannot register metrics"))?);
        let clock = Clock::system();
        let (bundle, policy) = bundle::load(config)?;
        let snapshot = bundle::loaded(policy)?;
        let tls = certificates(&config.listen.tls)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let listeners = serve::bind(config.listen.gateway, cores).map_err(|error| AppError::Io(error.to_string()))?;
        let admin_listener = admin::bind(config.listen.admin).map_err(|error| AppError::Io(error.to_string()))?;
        let opened = offline::open_ledger(config, clock.clone(), metrics.clone())?;
        let paths = Paths::new(&config.data);
        bundle::keep(&paths, &bundle)?;
        let tokens = offline::token_store(&paths, &clock)?;
        Ok(Base { metrics, clock, listeners, admin_listener, tls, opened, paths, tokens, snapshot })
    }
}

fn certificates(tls: &Tls) -> Result<Option<Certificates>, AppError> {
    let Tls::Files { certificate, key } = tls else { return Ok(None) };
    let files = TlsFiles { cert: certificate.clone(), key: key.clone() };
    Certificates::load(files).map(Some).map_err(|error| match error {
        TlsFilesError::Unreadable { .. } => AppError::Io(error.to_string()),
        _ => AppError::Vendor(error.to_string()),
    })
}

/// Records of a start beside the ledger's own: the policy in effect, a changed configuration, the dev token.
async fn first_records(
    config: &Digest,
    opened: &Opened,
    tokens: &TokenStore,
    paths: &Paths,
    clock: &Clock,
    snapshot: &Snapshot,
) -> Result<(), AppError> {
    let stamp = || Stamp::new(clock.now());
    let policy = snapshot.policy.reference();
    let detectors = snapshot.scanner.digest();
    let mut events = vec![event::policy_activated(stamp(), policy, &detectors, None, By::System)];
    let before = opened.previous_config.as_ref().and_then(|digest| digest.parse::<Digest>().ok());
    events
        .extend(before.filter(|before| before != config).map(|before| event::config_changed(stamp(), config, &before)));
    if let Some(info) = offline::dev_token(tokens, paths)? {
        events.push(admin::created(&opened.keys, stamp(), &info, By::System));
    }
    for head in events {
        let appended = opened.ledger.append(Draft::bare(Head::Event(head))).await;
        appended.map_err(AppError::io("the first records cannot be written"))?;
    }
    Ok(())
}

/// Bad heads are counted; a core's runtime ends only when the tasks of its requests have.
fn hooks(gate: &Arc<Gate>) -> Hooks {
    let (counting, settling) = (gate.clone(), gate.clone());
    Hooks {
        on_bad_head: Arc::new(move |_| counting.flood().count(Reason::RequestMalformed)),
        settle: Arc::new(move || {
            let gate = settling.clone();
            Box::pin(async move {
                while gate.is_busy() {
                    tokio::time::sleep(SETTLE_STEP).await;
                }
            })
        }),
    }
}

/// Sets `sealgate_policy_info` to the active bundle alone.
pub(super) fn show_policy(metrics: &Metrics, gate: &Gate) {
    let snapshot = gate.snapshot();
    let policy = snapshot.policy.reference();
    metrics.policy_info.reset();
    let digest = policy.digest.to_string();
    metrics.policy_info.with_label_values(&[&*policy.name, &*policy.version, digest.as_str()]).set(1);
}

/// How often a draining core looks whether its requests are recorded.
const SETTLE_STEP: Duration = Duration::from_millis(10);

//! One thread with its own runtime serves the admin port and the control socket: a busy data plane does not slow them.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

use super::{Admin, respond};

/// The admin thread.
pub struct Running {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Running {
    /// The admin address, port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the thread has ended, after `shutdown` turned true.
    pub fn join(self) {
        drop(self.thread.join());
    }
}

/// Binds the admin address.
///
/// # Errors
/// When it cannot be bound, naming it.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on the admin address {address}: {error}"))
    };
    let listener = TcpListener::bind(address).map_err(named)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Makes the control socket and serves both until `shutdown` turns true. A stale socket of a process that died is replaced:
/// the caller holds the store lock.
///
/// # Errors
/// When the socket cannot be made, naming it, or the thread cannot start.
pub fn start(
    admin: Arc<Admin>,
    tcp: TcpListener,
    socket: &Path,
    shutdown: watch::Receiver<bool>,
) -> io::Result<Running> {
    let named = |what: String| move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let address = tcp.local_addr()?;
    let unix = bind_socket(socket).map_err(named(format!("cannot make the control socket {}", socket.display())))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let path = socket.to_owned();
    let body = move || {
        runtime.block_on(serve(admin, tcp, unix, shutdown));
        let _ = fs::remove_file(path);
    };
    let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(body)?;
    Ok(Running { address, thread })
}

fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(admin: Arc<Admin>, tcp: TcpListener, unix: UnixListener, mut shutdown: watch::Receiver<bool>) {
    let (Ok(tcp), Ok(unix)) = (tokio::net::TcpListener::from_std(tcp), tokio::net::UnixListener::from_std(unix)) else {
        tracing::error!("the admin listeners cannot be registered");
        return;
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        tokio::select! {
            Ok((stream, _)) = tcp.accept() => {
                let admin = admin.clone();
                tokio::spawn(async move { connection(admin, stream, false).await; drop(permit); });
            }
            Ok((stream, _)) = unix.accept() => {
                let admin = admin.clone();
                tokio::spawn(async move { connection(admin, stream, true).await; drop(permit); });
            }
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(ACCEPT_RETRY) => {}
        }
    }
}

async fn connection(admin: Arc<Admin>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, is_control: bool) {
    let service = service_fn(move |request| {
        let admin = admin.clone();
        async move {
            let answer =
                if is_control { respond::private(admin, request).await } else { respond::public(admin, request).await };
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Connections at once; scrapers and commands are few.
const CONNECTIONS_MAX: usize = 64;

/// How long a request head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon accepting is tried again after a failure.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

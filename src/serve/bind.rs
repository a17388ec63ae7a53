//! Takes a port, alone.
//!
//! SO_REUSEPORT lets any process of the same user join a port, and the kernel then splits its connections between
//! them in silence. So one bind without that option comes first: it fails where anybody has the port. Between it and the real sockets lies an instant in
//! which another process could slip in; a second Sealgate on the same data is stopped by the store's lock.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Listening sockets on one address, one per core.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    /// The address, port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }
}

/// The address cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on `{address}`: {why}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    why: String,
}

/// Takes `address` for `cores` listeners. Port 0 is resolved once: all listen on the same.
///
/// # Errors
/// When the port is taken, the address is not this machine's, or permission is missing.
pub fn bind(address: SocketAddr, cores: usize) -> Result<Listeners, BindError> {
    let fault = |error: io::Error| BindError { address, why: words(&error) };
    let probe = socket(address, false).map_err(fault)?;
    let resolved = probe.local_addr().map_err(fault)?.as_socket().unwrap_or(address);
    drop(probe);
    let sockets = (0..cores.max(1)).map(|_| listening(resolved)).collect::<io::Result<_>>().map_err(fault)?;
    Ok(Listeners { address: resolved, sockets })
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run in TIME_WAIT do not count as taking the port.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken by another process: stop it, or choose another address".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied: ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    }
}

/// Connections that may wait to be accepted, per core (the kernel caps it at `net.core.somaxconn`).
const BACKLOG: i32 = 1024;

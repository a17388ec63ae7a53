//! What is in flight: requests per connection and per core, and bytes of a head not yet a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ResponseBody;

/// A core's requests. Written by its own thread alone; atomic because connections move as tasks.
#[derive(Debug, Default)]
pub(super) struct Counts {
    open: AtomicU64,
    started: AtomicU64,
}

impl Counts {
    /// Requests whose answer is not yet wholly handed over.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }
}

/// One connection's requests and bytes.
#[derive(Debug)]
pub(super) struct Flight {
    own: Counts,
    core: Arc<Counts>,
    /// Bytes read from the connection.
    read: AtomicU64,
    /// Bytes written to it.
    written: AtomicU64,
    /// `read` when a request last began or ended: what is more belongs to a head that is still arriving.
    settled: AtomicU64,
    /// Whether requests came by HTTP/2, whose frames between requests are no heads.
    http2: AtomicBool,
}

impl Flight {
    pub(super) fn new(core: Arc<Counts>) -> Self {
        Flight {
            own: Counts::default(),
            core,
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            http2: AtomicBool::new(false),
        }
    }

    /// A request begins.
    pub(super) fn enter(flight: &Arc<Flight>, version: Version) -> InFlight {
        if version == Version::HTTP_2 {
            flight.http2.store(true, Ordering::Relaxed);
        }
        for counts in [&flight.own, &*flight.core] {
            counts.open.fetch_add(1, Ordering::Relaxed);
            counts.started.fetch_add(1, Ordering::Relaxed);
        }
        flight.settle();
        InFlight(Arc::clone(flight))
    }

    pub(super) fn open(&self) -> u64 {
        self.own.open()
    }

    pub(super) fn started(&self) -> u64 {
        self.own.started()
    }

    /// Bytes in both directions so far.
    pub(super) fn moved(&self) -> u64 {
        self.read.load(Ordering::Relaxed).saturating_add(self.written.load(Ordering::Relaxed))
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.written.fetch_add(u64::try_from(*bytes).unwrap_or(0), Ordering::Relaxed);
        }
        polled
    }

    /// Whether bytes came in that became no request. (Of pipelined heads that arrived together with an earlier
    /// request the last may be missed.)
    pub(super) fn unfinished_head(&self) -> bool {
        self.open() == 0
            && !self.http2.load(Ordering::Relaxed)
            && self.read.load(Ordering::Relaxed) > self.settled.load(Ordering::Relaxed)
    }

    fn settle(&self) {
        self.settled.store(self.read.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Counts a request as open for as long as it lives.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Flight>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.own.open.fetch_sub(1, Ordering::Relaxed);
        self.0.core.open.fetch_sub(1, Ordering::Relaxed);
        self.0.settle();
    }
}

/// A response body that keeps its request counted until hyper is done with it.
pub(super) struct Counted {
    body: ResponseBody,
    _guard: InFlight,
}

impl Counted {
    pub(super) fn new(body: ResponseBody, guard: InFlight) -> Self {
        Counted { body, _guard: guard }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose incoming bytes are counted.
pub(super) struct Watched<S> {
    inner: S,
    flight: Arc<Flight>,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, flight: Arc<Flight>) -> Self {
        Watched { inner, flight }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = u64::try_from(buf.filled().len().saturating_sub(before)).unwrap_or(0);
        self.flight.read.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.flight.wrote(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.flight.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

//! Response bodies: whole, or a list of events with a pause between them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// Time for what was written to leave before a break.
const BREAK_PAUSE: Duration = Duration::from_millis(20);

/// A body in pieces; the last piece may be a broken connection.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    left: VecDeque<Bytes>,
    /// Pause before every piece but the first.
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
    begun: bool,
    /// Whether the body breaks off instead of ending.
    breaks: bool,
    /// Whether the length is announced.
    is_whole: bool,
}

/// The connection is to break here.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the demo vendor was asked to break off")]
pub(super) struct Broken;

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Pieces {
    /// A whole body of known length.
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Pieces { left: VecDeque::from([Bytes::from(bytes)]), is_whole: true, ..Pieces::default() }
    }

    /// A stream of events.
    pub(super) fn events(events: Vec<Bytes>, pause: Duration) -> Self {
        Pieces { left: events.into(), pause, ..Pieces::default() }
    }

    /// Keeps half of the pieces and breaks off after them.
    pub(super) fn breaking(mut self) -> Self {
        self.left.truncate(self.left.len().div_ceil(2));
        self.breaks = true;
        self
    }

    /// How long to wait before the next step; before a break, what was written must have left.
    fn next_pause(&self) -> Duration {
        match (self.left.is_empty(), self.breaks) {
            (true, true) => BREAK_PAUSE,
            (true, false) => Duration::ZERO,
            _ => self.pause,
        }
    }

    /// Keeps half of the events and puts `last` behind them.
    pub(super) fn ending_with(mut self, last: Bytes) -> Self {
        self.left.truncate(self.left.len().div_ceil(2));
        self.left.push_back(last);
        self
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let pause = this.next_pause();
        if this.begun && !pause.is_zero() {
            let sleep = this.pausing.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.pausing = None;
        }
        this.begun = true;
        match this.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if std::mem::take(&mut this.breaks) => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        match self.left.front() {
            Some(only) if self.is_whole && !self.breaks => SizeHint::with_exact(only.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

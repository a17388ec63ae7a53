//! What is sent: bytes of known length, or the same bytes framed as a body of unknown length.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request body held in memory. Its framing is the caller's: a client that sent chunks gets chunks forwarded.
#[derive(Clone, Debug, Default)]
pub struct OutBody {
    bytes: Bytes,
    length_known: bool,
    done: bool,
}

impl OutBody {
    /// No body at all: neither `content-length` nor chunks go out for methods that need none.
    pub fn none() -> Self {
        OutBody { bytes: Bytes::new(), length_known: true, done: true }
    }

    /// Bytes announced by `content-length`.
    pub fn sized(bytes: Bytes) -> Self {
        OutBody { done: bytes.is_empty(), bytes, length_known: true }
    }

    /// Bytes sent without announcing their length (chunks in HTTP/1.1).
    pub fn chunked(bytes: Bytes) -> Self {
        OutBody { bytes, length_known: false, done: false }
    }

    /// How many bytes the body holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the body holds no byte.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.done {
            return Poll::Ready(None);
        }
        self.done = true;
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        if self.length_known {
            SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
        } else {
            SizeHint::default()
        }
    }
}

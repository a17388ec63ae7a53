//! A vendor's answer, its body under the idle and total time limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::{Phase, SendError};
use crate::egress::EgressError;

/// The head of a vendor's answer, and its body to be read.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

impl Answer {
    pub(super) fn new(response: Response<Incoming>, idle: Duration, total: Pin<Box<Sleep>>) -> Self {
        let (head, body) = response.into_parts();
        let body = AnswerBody { inner: body, idle_limit: idle, idle: None, total, failed: false };
        Answer { status: head.status, version: head.version, headers: head.headers, body }
    }
}

/// The body of an answer. Ends in an error when the vendor falls silent, is too slow in all, or breaks off: an end
/// without error is an end the vendor marked as such. Dropped early, it closes its connection (HTTP/1.1) or resets
/// its stream (HTTP/2).
#[derive(Debug)]
pub struct AnswerBody {
    inner: Incoming,
    idle_limit: Duration,
    /// Runs only while a piece is awaited.
    idle: Option<Pin<Box<Sleep>>>,
    total: Pin<Box<Sleep>>,
    /// After an error nothing more is read.
    failed: bool,
}

impl AnswerBody {
    /// The next piece of data; trailers are passed over.
    pub async fn next(&mut self) -> Option<Result<Bytes, SendError>> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn idle_reached(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.idle_limit;
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        idle.as_mut().poll(cx).is_ready()
    }

    fn fail(&mut self, error: EgressError) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        self.failed = true;
        Poll::Ready(Some(Err(error.into())))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        // Asked first: a vendor that is always ready would otherwise never meet it.
        if self.total.as_mut().poll(cx).is_ready() {
            return self.fail(EgressError::Timeout(Phase::Total));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_pending() && self.idle_reached(cx) {
            return self.fail(EgressError::Timeout(Phase::Idle));
        }
        let frame = ready!(polled);
        self.idle = None;
        match frame {
            Some(Err(error)) => self.fail(EgressError::of_http(&error)),
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

//! The life of one request, in running order; the only place where that order is written.
//!
//! `admit → identify → read → classify → decide → record → forward → inspect → close`: one file a step, each a type
//! that consumes the one before. What a reader may rely on:
//! - nothing reaches a vendor but through `forward`, which needs the ledger's `Receipt`;
//! - every request that `admit` took gets its decision and its completion, whatever happens after: the work runs in
//!   a task of its own, which a caller that goes away does not stop;
//! - policy and scanner are pinned at `admit` and serve both directions of that request.

mod admit;
mod answer;
mod classify;
mod close;
mod codec;
mod decide;
mod events;
mod flood;
mod forward;
mod gate;
mod identify;
mod inspect;
mod read;
mod record;
mod route;
mod sections;
mod splice;
mod stream;
mod whole;

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

pub use answer::ResponseBody;
pub use flood::Flood;
pub use gate::{Gate, GateParts, Limits, Snapshot};
pub use route::{Route, Routes};

use crate::upstream::Pool;

use answer::Reply;
use record::Recorded;

/// Serves one request: everything from its head to the end of its answer.
///
/// The work goes on in a task of its own when the caller drops this future; the task then closes the record.
pub async fn handle(gate: Arc<Gate>, pool: Pool, request: Request<Incoming>) -> Response<ResponseBody> {
    if request.uri().path() == "/" {
        return answer::greeting();
    }
    let (reply, waiting) = Reply::pair();
    let open = gate.opened();
    tokio::spawn(async move {
        Box::pin(run(gate, pool, request, reply)).await;
        drop(open);
    });
    waiting.await.unwrap_or_else(|_| answer::broken())
}

/// The steps in order; branches live here, the steps stay straight.
async fn run(gate: Arc<Gate>, pool: Pool, request: Request<Incoming>, mut reply: Reply) {
    let admitted = admit::admit(gate, request);
    let identified = admitted.identify();
    let read = identified.read(&mut reply).await;
    let large = read.body.plain.len() > SCANNED_INLINE_BYTES_MAX;
    // A fault in a step ends the task: the caller gets 500, and what was sealed is closed by the ledger.
    let Ok(classified) = beside(large, move || read.classify()).await else { return };
    let decided = classified.decide();
    match decided.record().await {
        Recorded::Refused(response) => {
            reply.send(response);
        }
        Recorded::Sealed(sealed) => {
            let answered = sealed.forward(&pool, &mut reply).await;
            let Ok(inspected) = Box::pin(answered.inspect(reply)).await else { return };
            inspected.close().await;
        }
    }
}

/// Runs a step here, or on a thread of its own where it would hold up everything else this core serves.
async fn beside<T: Send + 'static>(
    large: bool,
    step: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if large { tokio::task::spawn_blocking(step).await } else { Ok(step()) }
}

/// Largest body that is scanned on the core's own thread, bytes: a few milliseconds' work.
const SCANNED_INLINE_BYTES_MAX: usize = 64 * 1024;

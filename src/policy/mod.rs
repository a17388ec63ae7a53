//! Policy: a content-addressed bundle of rules, and the pure function from facts to a decision.
//!
//! What the reader may rely on (DESIGN section 5):
//! - **Default deny.** What no rule permits is denied; what any rule forbids is denied, whatever permits it.
//! - **No skipped forbid.** Cedar leaves out a rule whose evaluation fails; here one such failure in any action asked
//!   denies the request with `policy.error`.
//! - **Pure.** A decision depends on the bundle and the recorded facts, nothing else: [`PolicySet::reperform`] gives
//!   it again from a record.
//! - **Loaded whole or not at all.** Every fault of a bundle is found at load, with file, line and column.
//!
//! Sources: Cedar language 4 (docs.cedarpolicy.com), `sha256sum` of GNU coreutils for the listing's form.

mod bounds;
mod bundle;
mod cases;
mod decide;
mod engine;
mod facts;
mod fault;
mod labels;
mod memo;
mod outline;
mod question;
mod reperform;
mod rules;
mod set;
mod vars;
mod vendors;

#[cfg(test)]
mod tests;

pub use bundle::{BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, Bundle, PolicyConfig};
pub use cases::CaseResult;
pub use decide::{AdminDecision, AnswerDecision, RequestDecision, Step};
pub use engine::{Action, Asked};
pub use facts::{ADMIN_ROLES, AdminFacts, AnswerFacts, RequestFacts, TOOLS_MAX};
pub use fault::{PolicyFault, PolicyFaults};
pub use memo::MEMO_ENTRIES_MAX;
pub use outline::{Changes, RuleChange};
pub use reperform::Reperformed;
pub use rules::Rule;
pub use set::{Manifest, PolicySet, Validity};
pub use vendors::{Registration, TrainingUse, Vendor};

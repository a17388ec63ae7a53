//! The bound on unauthenticated records: above a stated rate they are counted, and the counts recorded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::types::{Reason, Timestamp};

/// A token bucket and the counts of what it did not let through.
pub struct Flood {
    per_second: u32,
    /// Guards bucket and counts; held for a few instructions.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Micro-tokens left.
    tokens: i64,
    /// Last refill, microseconds since the epoch; 0 = never.
    filled: i64,
    counts: BTreeMap<Reason, u64>,
}

impl Flood {
    /// `per_second` single records, with a burst of five seconds' worth.
    pub fn new(per_second: u32) -> Self {
        Flood { per_second, state: Mutex::new(State::default()) }
    }

    /// Whether this refusal gets records of its own; counts it otherwise.
    pub(super) fn admits(&self, now: Timestamp, reason: Reason) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = i64::from(self.per_second) * BURST_SECONDS * MICROS;
        let since =
            if state.filled == 0 { burst } else { (now.micros() - state.filled).clamp(0, BURST_SECONDS * MICROS) };
        state.tokens = state.tokens.saturating_add(since.saturating_mul(i64::from(self.per_second))).min(burst);
        state.filled = now.micros();
        if state.tokens >= MICROS {
            state.tokens -= MICROS;
            return true;
        }
        *state.counts.entry(reason).or_default() += 1;
        false
    }

    /// Counts a refusal that can have no record of its own (a head that was not HTTP).
    pub fn count(&self, reason: Reason) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.entry(reason).or_default() += 1;
    }

    /// Puts counts back that could not be recorded.
    pub fn put_back(&self, counts: BTreeMap<Reason, u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, count) in counts {
            *state.counts.entry(reason).or_default() += count;
        }
    }

    /// The counts since the last call, for a `refusals` record.
    pub fn take(&self) -> BTreeMap<Reason, u64> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).counts)
    }
}

const MICROS: i64 = 1_000_000;
const BURST_SECONDS: i64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_rate_refusals_are_counted() {
        let flood = Flood::new(10);
        let now = Timestamp::from_micros(1_000_000_000);
        let admitted = (0..80).filter(|_| flood.admits(now, Reason::IdentityMissing)).count();
        assert_eq!(admitted, 50);
        assert_eq!(flood.take().get(&Reason::IdentityMissing), Some(&30));
        let later = Timestamp::from_micros(1_000_500_000);
        assert_eq!((0..80).filter(|_| flood.admits(later, Reason::IdentityMissing)).count(), 5);
    }
}

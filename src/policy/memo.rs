//! Decisions already made, by equality of everything they are a function of.
//!
//! Two generations of half the limit each: when the young one is full it becomes the old one and the old one goes. What
//! is asked often is carried over; what is not costs at most the limit.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::decide::Decided;
use super::vars::Question;

/// Decisions kept. One takes about 4 KB with its facts, so 16 MB at most.
pub const MEMO_ENTRIES_MAX: usize = 4096;

#[derive(Default)]
struct Generations {
    young: HashMap<Question, Arc<Decided>>,
    old: HashMap<Question, Arc<Decided>>,
}

/// Guarded by one lock, held for a look-up or an insertion only.
#[derive(Default)]
pub(crate) struct Memo(Mutex<Generations>);

impl Memo {
    pub(crate) fn find(&self, question: &Question) -> Option<Arc<Decided>> {
        let mut memo = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = memo.young.get(question) {
            return Some(found.clone());
        }
        let (question, found) = memo.old.remove_entry(question)?;
        memo.insert(question, found.clone());
        Some(found)
    }

    pub(crate) fn keep(&self, question: Question, decided: Arc<Decided>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(question, decided);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let memo = self.0.lock().expect("not poisoned");
        memo.young.len() + memo.old.len()
    }
}

impl Generations {
    fn insert(&mut self, question: Question, decided: Arc<Decided>) {
        if self.young.len() >= MEMO_ENTRIES_MAX / 2 {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(question, decided);
    }
}

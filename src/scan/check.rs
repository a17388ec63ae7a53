//! What a candidate must pass after its shape matched: borders, validator, entropy, context words.
//!
//! A check sees at most [`super::engine::LEFT_BYTES`] bytes to the left and a few to the right; when those few are
//! not there yet it says [`Verdict::Undecided`], so that a stream waits instead of guessing.

use super::context::Context;
use super::pack::Border;
use super::validate::Validator;

/// A candidate inside its folded text.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) norm: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    /// Nothing comes after `norm`.
    pub(super) is_final: bool,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    Undecided,
    Yes { likelihood: u8, validated: bool },
}

/// The checks of one detector.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) left: Border,
    pub(super) right: Border,
    pub(super) validator: Option<Validator>,
    pub(super) entropy_min: f32,
    pub(super) likelihood: u8,
    pub(super) with_context: u8,
    pub(super) context: Context,
    pub(super) threshold: u8,
}

impl<'a> Span<'a> {
    /// The matched bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.norm.get(self.start..self.end).unwrap_or_default()
    }

    /// The byte `n` places before the match (1 is the nearest).
    pub(super) fn before(&self, n: usize) -> Option<u8> {
        self.start.checked_sub(n).and_then(|i| self.norm.get(i)).copied()
    }

    /// The byte `n` places after the match (0 is the nearest); the outer `None` means not known yet.
    pub(super) fn after(&self, n: usize) -> Option<Option<u8>> {
        match self.norm.get(self.end + n) {
            Some(&byte) => Some(Some(byte)),
            None if self.is_final => Some(None),
            None => None,
        }
    }
}

pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn is_joint(byte: u8) -> bool {
    matches!(byte, b'.' | b':' | b'/' | b'-' | b'+')
}

/// Bytes looked at to tell a part of a longer identifier (`a716-4466…`) from a word with a dash (`card-4111…`).
const JOINED_BYTES_MAX: usize = 12;

/// Whether a joint before the span ties it to a number or to a word that holds a digit.
fn is_joined_left(span: &Span<'_>) -> bool {
    span.before(1).is_some_and(is_joint)
        && (2..2 + JOINED_BYTES_MAX)
            .map_while(|n| span.before(n).filter(|&b| is_word(b)))
            .take(if span.before(1) == Some(b'-') { JOINED_BYTES_MAX } else { 1 })
            .any(|b| b.is_ascii_digit())
}

const fn is_token(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'-' | b'+' | b'/' | b'=')
}

impl Border {
    /// Whether the left side is free.
    pub(super) fn is_free_left(self, span: &Span<'_>) -> bool {
        let near = span.before(1);
        match self {
            Border::None => true,
            Border::Word => !near.is_some_and(is_word),
            Border::Token => !near.is_some_and(|b| is_word(b) || b == b'-'),
            Border::Number => !near.is_some_and(is_word) && !is_joined_left(span),
        }
    }

    /// Whether the right side is free; `None` when that is not known yet.
    fn is_free_right(self, span: &Span<'_>) -> Option<bool> {
        if self == Border::None {
            return Some(true);
        }
        let Some(near) = span.after(0)? else { return Some(true) };
        match self {
            Border::None => Some(true),
            Border::Word => Some(!is_word(near)),
            Border::Token => Some(!is_token(near)),
            Border::Number if is_word(near) => Some(false),
            Border::Number if is_joint(near) => Some(!span.after(1)?.is_some_and(|b| b.is_ascii_digit())),
            Border::Number => Some(true),
        }
    }
}

impl Checks {
    /// Checks a candidate; `left` is the border to hold on its left.
    pub(super) fn check(&self, span: &Span<'_>, left: Border) -> Verdict {
        if !left.is_free_left(span) {
            return Verdict::No;
        }
        match self.right.is_free_right(span) {
            None => return Verdict::Undecided,
            Some(false) => return Verdict::No,
            Some(true) => {}
        }
        let mut validated = false;
        if let Some(validator) = &self.validator {
            match validator.check(span) {
                None => return Verdict::Undecided,
                Some(false) => return Verdict::No,
                Some(true) => validated = validator.is_checksum(),
            }
        }
        if self.entropy_min > 0.0 && entropy(span.bytes()) < self.entropy_min {
            return Verdict::No;
        }
        let likelihood = if self.has_context(span) { self.with_context } else { self.likelihood };
        if likelihood < self.threshold { Verdict::No } else { Verdict::Yes { likelihood, validated } }
    }

    /// Whether a candidate that begins there can reach the threshold, whatever it is.
    pub(super) fn can_count(&self, span: &Span<'_>) -> bool {
        self.likelihood >= self.threshold || self.has_context(span)
    }

    fn has_context(&self, span: &Span<'_>) -> bool {
        self.with_context != self.likelihood && self.context.is_there(span)
    }
}

/// Shannon entropy in bits per byte.
pub(super) fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for &byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = bytes.len() as f32;
    let share = |&count: &u32| -> f32 {
        let p = count as f32 / total;
        if count == 0 { 0.0 } else { -p * p.log2() }
    };
    counts.iter().map(share).sum()
}

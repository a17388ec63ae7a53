//! The engine: one aho-corasick automaton over literal anchors, one run scanner over the beginnings of words and
//! numbers, and anchored automata that decide each candidate.
//!
//! Every candidate is decided by at most [`LEFT_BYTES`] bytes before it and a bounded number behind it, whatever
//! else the text holds. So a sweep over a piece of a stream either decides a candidate exactly as a sweep over the
//! whole text would, or says that it is undecided; nothing else makes streams and whole texts agree. Linear in the
//! text: each automaton reads each byte once per candidate, and a budget bounds candidates' bytes ([`Work`]).

use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::start;

use super::check::{Checks, Span, Verdict, is_word};
use super::pack::{Border, Kind};
use super::pem;

/// Folded bytes before a candidate that may matter for it: the context window, borders, the local part of an address.
pub(super) const LEFT_BYTES: usize = 96;

/// Longest local part of an e-mail address (RFC 5321 section 4.5.3.1.1).
const LOCAL_PART_BYTES_MAX: usize = 64;

/// Bytes that candidates may read, per byte of text, and in any case.
const WORK_PER_BYTE: usize = 48;
const WORK_FLOOR: usize = 64 * 1024;

type Dfa = dense::DFA<Vec<u32>>;

/// A detector found by a literal.
#[derive(Debug)]
pub(super) struct AnchorDetector {
    pub(super) kind: Kind,
    /// What it finds is a secret, which is not one repeated character.
    pub(super) is_secret: bool,
    pub(super) lead: Option<Dfa>,
    pub(super) pattern: Option<Dfa>,
    pub(super) checks: Checks,
}

/// One detector as compiled.
#[derive(Debug)]
pub(super) enum Compiled {
    /// Found by an anchor.
    Anchor(Box<AnchorDetector>),
    /// Found by the run scanner.
    Run(Checks),
}

/// All detectors, ready to run.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) anchors: Option<AhoCorasick>,
    /// Per anchor, the detectors it begins.
    pub(super) by_anchor: Vec<Vec<u16>>,
    /// The anchors in lower case, sorted, each with whether a word may end right before it.
    pub(super) sorted: Vec<(Vec<u8>, bool)>,
    pub(super) has_email: bool,
    pub(super) runs: Option<Dfa>,
    /// Detector of each pattern of `runs`.
    pub(super) by_run: Vec<u16>,
    pub(super) compiled: Vec<Compiled>,
}

/// A finding in folded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) detector: u16,
    /// Where the sweep must begin again to find it.
    pub(super) origin: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) likelihood: u8,
    pub(super) validated: bool,
}

/// The budget of one sweep, and scratch space that is reused.
#[derive(Debug)]
pub(super) struct Work {
    left: usize,
    /// Candidates were left out, or a block was too long: coverage is partial.
    pub(super) is_partial: bool,
    ends: Vec<(u16, usize)>,
}

/// A stretch of folded text to sweep.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) norm: &'a [u8],
    /// Candidates before this are decided; the bytes before it are context.
    pub(super) from: usize,
    pub(super) is_final: bool,
}

/// What an automaton found at a place.
enum Match {
    None,
    Undecided,
    End(usize),
}

impl Work {
    pub(super) fn for_bytes(len: usize) -> Self {
        Work { left: WORK_FLOOR.saturating_add(len.saturating_mul(WORK_PER_BYTE)), is_partial: false, ends: Vec::new() }
    }

    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    fn is_spent(&mut self) -> bool {
        self.is_partial |= self.left == 0;
        self.left == 0
    }
}

impl Engine {
    /// Finds every candidate that begins in `view` and is decided; returns where the first undecided one begins.
    pub(super) fn sweep(&self, view: View<'_>, work: &mut Work, hits: &mut Vec<Hit>) -> usize {
        let mut cut = view.norm.len();
        if !view.is_final {
            cut = self.unfinished_tail(view);
        }
        self.sweep_anchors(view, work, hits, &mut cut);
        self.sweep_runs(view, work, hits, &mut cut);
        cut
    }

    /// Where the end of the text could still become an anchor or the local part of an address.
    fn unfinished_tail(&self, view: View<'_>) -> usize {
        let mut cut = view.norm.len();
        let tail = view.norm.get(view.from..).unwrap_or_default();
        let longest = self.sorted.iter().map(|(a, _)| a.len()).max().unwrap_or(0);
        for len in (1..longest.min(tail.len() + 1)).rev() {
            let at = view.norm.len() - len;
            if self.may_begin_anchor(view.norm, at) {
                cut = at;
                break;
            }
        }
        if self.has_email {
            let run = view.norm.iter().rev().take(LOCAL_PART_BYTES_MAX + 1).take_while(|&&b| is_local_part(b)).count();
            if run <= LOCAL_PART_BYTES_MAX {
                cut = cut.min((view.norm.len() - run).max(view.from));
            }
        }
        cut
    }

    fn may_begin_anchor(&self, norm: &[u8], at: usize) -> bool {
        let mut lower = [0u8; super::pack::ANCHOR_BYTES_MAX];
        let rest = norm.get(at..).unwrap_or_default();
        let Some(lower) = lower.get_mut(..rest.len()) else { return false };
        lower.copy_from_slice(rest);
        lower.make_ascii_lowercase();
        let lower: &[u8] = lower;
        let after_word = at.checked_sub(1).and_then(|i| norm.get(i)).is_some_and(|&b| is_word(b));
        let first = self.sorted.partition_point(|(a, _)| a.as_slice() < lower);
        let candidates = self.sorted.iter().skip(first).take_while(|(a, _)| a.starts_with(lower));
        candidates.into_iter().any(|(_, inside_words)| *inside_words || !after_word)
    }

    fn sweep_anchors(&self, view: View<'_>, work: &mut Work, hits: &mut Vec<Hit>, cut: &mut usize) {
        let Some(anchors) = &self.anchors else { return };
        let input = aho_corasick::Input::new(view.norm).range(view.from..);
        for found in anchors.find_overlapping_iter(input) {
            let detectors = self.by_anchor.get(found.pattern().as_usize());
            for &detector in detectors.into_iter().flatten() {
                if work.is_spent() {
                    return;
                }
                let Some(Compiled::Anchor(anchored)) = self.compiled.get(usize::from(detector)) else { continue };
                match anchored.decide(view, found.range(), work) {
                    Decision::No => {}
                    Decision::Undecided(at) => *cut = (*cut).min(at),
                    Decision::Hit(hit) => hits.push(Hit { detector, ..hit }),
                }
            }
        }
    }

    fn sweep_runs(&self, view: View<'_>, work: &mut Work, hits: &mut Vec<Hit>, cut: &mut usize) {
        let Some(runs) = &self.runs else { return };
        let mut previous = view.from.checked_sub(1).and_then(|i| view.norm.get(i)).copied().unwrap_or(b' ');
        let stretch = view.norm.get(view.from..*cut).unwrap_or_default();
        for (offset, &byte) in stretch.iter().enumerate() {
            let begins = if is_word(byte) { !is_word(previous) } else { is_opener(byte) && previous != byte };
            previous = byte;
            if begins {
                if work.is_spent() {
                    return;
                }
                let at = view.from + offset;
                if !self.decide_run(runs, view, at, work, hits) {
                    *cut = (*cut).min(at);
                    return;
                }
            }
        }
    }

    /// Decides every run detector at one place; false when more text is needed.
    fn decide_run(&self, runs: &Dfa, view: View<'_>, at: usize, work: &mut Work, hits: &mut Vec<Hit>) -> bool {
        let mut ends = std::mem::take(&mut work.ends);
        ends.clear();
        let known = walk(runs, view, at, work, |pattern, end| {
            if let Some(&detector) = self.by_run.get(pattern) {
                ends.push((detector, end));
            }
        });
        let mut decided = known;
        if known {
            let mut hopeless: Option<u16> = None;
            ends.sort_unstable();
            for &(detector, end) in &ends {
                let Some(Compiled::Run(checks)) = self.compiled.get(usize::from(detector)) else { continue };
                let start = Span { norm: view.norm, start: at, end: at, is_final: view.is_final };
                if hopeless == Some(detector) || !checks.can_count(&start) {
                    hopeless = Some(detector);
                    continue;
                }
                let span = Span { norm: view.norm, start: at, end, is_final: view.is_final };
                match checks.check(&span, checks.left) {
                    Verdict::No => {}
                    Verdict::Undecided => decided = false,
                    Verdict::Yes { likelihood, validated } => {
                        hits.push(Hit { detector, origin: at, start: at, end, likelihood, validated });
                    }
                }
            }
        }
        work.ends = ends;
        decided
    }
}

/// Whether a byte outside words may begin a run.
const fn is_opener(byte: u8) -> bool {
    matches!(byte, b'+' | b'(' | super::fold::TAG)
}

enum Decision {
    No,
    Undecided(usize),
    Hit(Hit),
}

impl AnchorDetector {
    fn decide(&self, view: View<'_>, anchor: Range<usize>, work: &mut Work) -> Decision {
        let at = anchor.start;
        let mut origin = at;
        if self.kind == Kind::Email {
            match local_part(view.norm, at) {
                Some(start) if start >= view.from => origin = start,
                _ => return Decision::No,
            }
        } else if !self.checks.left.is_free_left(&Span { norm: view.norm, start: at, end: at, is_final: false }) {
            return Decision::No;
        }
        let mut start = at;
        if let Some(lead) = &self.lead {
            match longest(lead, view, at, work) {
                Match::None => return Decision::No,
                Match::Undecided => return Decision::Undecided(origin),
                Match::End(end) => start = end,
            }
        }
        let end = match (&self.pattern, self.kind) {
            (_, Kind::Pem) => {
                let (block, is_cut) = pem::block(view.norm, at, view.is_final);
                work.spend((view.norm.len() - at).min(pem::BLOCK_BYTES_MAX));
                work.is_partial |= is_cut;
                block.map_or(Match::Undecided, |end| if end > at { Match::End(end) } else { Match::None })
            }
            (Some(pattern), _) => longest(pattern, view, start, work),
            (None, _) => Match::None,
        };
        let end = match end {
            Match::None => return Decision::No,
            Match::Undecided => return Decision::Undecided(origin),
            Match::End(end) => end,
        };
        let start = if self.kind == Kind::Email { origin } else { start };
        let span = Span { norm: view.norm, start, end, is_final: view.is_final };
        if span.bytes().iter().any(|&b| super::norm::marker(b).is_some()) || self.is_filler(&span, anchor.end) {
            return Decision::No;
        }
        match self.check_found(&self.checks, &span) {
            Verdict::No => Decision::No,
            Verdict::Undecided => Decision::Undecided(origin),
            Verdict::Yes { likelihood, validated } => {
                Decision::Hit(Hit { detector: 0, origin, start, end, likelihood, validated })
            }
        }
    }

    /// Whether a secret is only its prefix and a few characters again and again.
    fn is_filler(&self, span: &Span<'_>, anchor_end: usize) -> bool {
        let value = span.norm.get(span.start.max(anchor_end)..span.end).unwrap_or_default();
        self.is_secret && self.kind == Kind::Pattern && super::secret::is_filler(value)
    }

    /// The left border was looked at where the anchor begins, so a lead does not stand in its own way.
    fn check_found(&self, checks: &Checks, span: &Span<'_>) -> Verdict {
        checks.check(span, if self.lead.is_some() { Border::None } else { checks.left })
    }
}

/// Whether a byte may stand in the local part of an address.
const fn is_local_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'~')
}

/// Where the local part before an `@` begins; `None` when there is none or it is too long.
fn local_part(norm: &[u8], at: usize) -> Option<usize> {
    let before = norm.get(..at).unwrap_or_default();
    let run = before.iter().rev().take(LOCAL_PART_BYTES_MAX + 1).take_while(|&&b| is_local_part(b)).count();
    let start = at - run;
    if run > LOCAL_PART_BYTES_MAX {
        return None;
    }
    let skip = before.get(start..)?.iter().take_while(|b| !b.is_ascii_alphanumeric() && **b != b'_').count();
    (run > skip).then_some(start + skip)
}

/// The longest match of an automaton at a place.
fn longest(dfa: &Dfa, view: View<'_>, at: usize, work: &mut Work) -> Match {
    let mut found = None;
    let known = walk(dfa, view, at, work, |_, end| found = Some(end));
    match found {
        _ if !known => Match::Undecided,
        Some(end) => Match::End(end),
        None => Match::None,
    }
}

/// Runs an automaton from `at`, telling every match end; false when the text ended before it was through.
fn walk(dfa: &Dfa, view: View<'_>, at: usize, work: &mut Work, mut tell: impl FnMut(usize, usize)) -> bool {
    let before = at.checked_sub(1).and_then(|i| view.norm.get(i)).copied();
    let config = start::Config::new().anchored(Anchored::Yes).look_behind(before);
    let Ok(mut state) = dfa.start_state(&config) else { return true };
    let rest = view.norm.get(at..).unwrap_or_default();
    for (offset, &byte) in rest.iter().enumerate() {
        state = dfa.next_state(state, byte);
        if dfa.is_special_state(state) {
            if dfa.is_match_state(state) {
                (0..dfa.match_len(state)).for_each(|i| tell(dfa.match_pattern(state, i).as_usize(), at + offset));
            } else if dfa.is_dead_state(state) || dfa.is_quit_state(state) {
                work.spend(offset + 1);
                return true;
            }
        }
    }
    work.spend(rest.len());
    if !view.is_final {
        return false;
    }
    state = dfa.next_eoi_state(state);
    if dfa.is_match_state(state) {
        (0..dfa.match_len(state)).for_each(|i| tell(dfa.match_pattern(state, i).as_usize(), view.norm.len()));
    }
    true
}

//! Payment card numbers: issuer prefix, length, Luhn, and a shape that long numbers and tables do not have.
//!
//! Sources: ISO/IEC 7812-1 and the card schemes' published ranges. Published test numbers count as real.

use super::check::{Span, is_word};
use super::validate::{is_uniform, luhn};

/// Most digits of a card number.
const DIGITS_MAX: usize = 19;

/// Different digits that a number has unless it is one of [`PUBLISHED`].
const VARIETY_MIN: usize = 4;

/// Test numbers that schemes and payment services publish and that have fewer different digits.
const PUBLISHED: &[&str] = &[
    "4111111111111111",
    "4242424242424242",
    "4000000000000002",
    "4000000000000010",
    "4000000000000044",
    "4000000000000077",
    "4000000000000101",
    "4222222222222",
    "4444444444444448",
    "5105105105105100",
    "5454545454545454",
    "5500000000000004",
    "5555555555554444",
    "30000000000004",
];

/// Separator bytes between two digits at most.
const GAP_BYTES_MAX: usize = 3;

/// Whether a byte may stand between the digits of a number.
pub(super) const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'.' | b'|' | b'/' | b'_' | b'*' | b'-' | super::fold::TAG)
}

/// The digits of a candidate and how they are grouped.
#[derive(Default)]
struct Shape {
    digits: [u8; DIGITS_MAX],
    count: usize,
    groups: [u8; DIGITS_MAX],
    group_count: usize,
    has_line_break: bool,
    has_point: bool,
}

/// Whether the match is a card number; `None` while the text after it could still change that.
pub(super) fn check(span: &Span<'_>) -> Option<bool> {
    let Some(shape) = shape(span.bytes()) else { return Some(false) };
    let digits = shape.digits.get(..shape.count).unwrap_or_default();
    if is_uniform(digits) || !luhn(digits) || !is_issued(digits, shape.group_count > 1) {
        return Some(false);
    }
    if variety(digits) < VARIETY_MIN && !PUBLISHED.iter().any(|number| number.as_bytes() == digits) {
        return Some(false);
    }
    let is_decimal = shape.group_count == 2 && shape.has_point;
    if is_decimal || is_joined_left(span) {
        return Some(false);
    }
    if is_joined_right(span)? {
        return Some(false);
    }
    let groups = shape.groups.get(..shape.group_count).unwrap_or_default();
    if groups.len() == 1 || (is_usual(groups) && !shape.has_line_break) {
        return Some(true);
    }
    Some(!has_digit_left(span) && !has_digit_right(span)?)
}

/// How many different bytes there are.
pub(super) fn variety(bytes: &[u8]) -> usize {
    bytes.iter().enumerate().filter(|(i, byte)| !bytes.iter().take(*i).any(|b| b == *byte)).count()
}

fn shape(bytes: &[u8]) -> Option<Shape> {
    let mut shape = Shape::default();
    let mut in_group = false;
    for &byte in bytes {
        if !byte.is_ascii_digit() {
            in_group = false;
            shape.has_line_break |= byte == b'\n';
            shape.has_point |= byte == b'.';
            continue;
        }
        *shape.digits.get_mut(shape.count)? = byte;
        shape.count += 1;
        shape.group_count += usize::from(!in_group);
        in_group = true;
        *shape.groups.get_mut(shape.group_count - 1)? += 1;
    }
    Some(shape)
}

/// The groupings printed on cards.
fn is_usual(groups: &[u8]) -> bool {
    matches!(
        groups,
        [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4, 3] | [8, 8] | [6, 10] | [4, 12] | [4, 4, 5] | [4, 5, 4]
    )
}

/// Whether a scheme issues numbers with this prefix and length. Lengths that identifiers have too (13 and 19 in one
/// group) count only when written in groups.
fn is_issued(digits: &[u8], grouped: bool) -> bool {
    let prefix = digits.iter().take(6).fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    match digits.len() {
        16 => {
            matches!(prefix, 400_000..=499_999 | 510_000..=559_999 | 222_100..=272_099 | 352_800..=358_999
            | 601_100..=601_199 | 622_126..=622_925 | 644_000..=659_999 | 620_000..=629_999 | 810_000..=817_199
            | 220_000..=220_499 | 508_500..=508_999 | 606_900..=608_499 | 979_200..=979_299)
                || is_maestro(prefix)
        }
        15 => matches!(prefix, 340_000..=349_999 | 370_000..=379_999),
        14 => matches!(prefix, 300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999),
        13 => grouped && matches!(prefix, 400_000..=499_999),
        17 | 18 => matches!(prefix, 620_000..=629_999) && grouped || is_maestro(prefix),
        19 => {
            grouped && matches!(prefix, 400_000..=499_999 | 601_100..=601_199 | 620_000..=629_999 | 644_000..=659_999)
                || is_maestro(prefix)
        }
        _ => false,
    }
}

const fn is_maestro(prefix: u32) -> bool {
    matches!(prefix / 100, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761 | 6762 | 6763)
}

/// A letter, or a decimal point or dash that ties the match to a number before it.
fn is_joined_left(span: &Span<'_>) -> bool {
    match (span.before(1), span.before(2)) {
        (Some(near), _) if is_word(near) => true,
        (Some(b'.' | b':' | b'/'), Some(far)) => far.is_ascii_digit(),
        (Some(b'-'), Some(far)) => far.is_ascii_digit(),
        _ => false,
    }
}

/// A letter or digit, or a decimal point with a digit behind it.
fn is_joined_right(span: &Span<'_>) -> Option<bool> {
    Some(match span.after(0)? {
        Some(near) if is_word(near) => true,
        Some(b'.') => span.after(1)?.is_some_and(|far| far.is_ascii_digit()),
        _ => false,
    })
}

fn has_digit_left(span: &Span<'_>) -> bool {
    (1..=GAP_BYTES_MAX + 1)
        .map_while(|n| span.before(n).filter(|&b| is_separator(b) || b.is_ascii_digit()))
        .any(|b| b.is_ascii_digit())
}

fn has_digit_right(span: &Span<'_>) -> Option<bool> {
    for n in 0..=GAP_BYTES_MAX {
        match span.after(n)? {
            Some(byte) if byte.is_ascii_digit() => return Some(true),
            Some(byte) if is_separator(byte) => {}
            _ => return Some(false),
        }
    }
    Some(false)
}

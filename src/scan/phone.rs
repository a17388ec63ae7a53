//! What looks like a telephone number written loosely but is a date, a time stamp or an identifier.

use super::check::Span;

/// Most groups of digits looked at.
const GROUPS_MAX: usize = 15;

/// Whether the groups of digits are a date, or one of them is a time stamp: `2024-01-31`, `31.12.2024`, `20240131`,
/// seconds or milliseconds since 1970 (10 or 13 digits that begin with 1, with no `+` before).
pub(super) fn is_date_or_id(span: &Span<'_>) -> bool {
    let mut groups: [&[u8]; GROUPS_MAX] = [&[]; GROUPS_MAX];
    let found = span.bytes().split(|b| !b.is_ascii_digit()).filter(|group| !group.is_empty());
    groups.iter_mut().zip(found).for_each(|(slot, group)| *slot = group);
    let [first, second, third, fourth, ..] = groups;
    let year_first = is_year(first) && is_month_day(second, third);
    let iso_shaped = first.len() == 4 && second.len() == 2 && third.len() == 2 && span.bytes().get(4) == Some(&b'-');
    let year_last = fourth.is_empty() && is_year(third) && (is_month_day(second, first) || is_month_day(first, second));
    let is_signed = span.before(1) == Some(b'+');
    let is_stamp = |group: &&[u8]| is_packed_date(group) || (is_epoch(group) && !is_signed);
    year_first || iso_shaped || year_last || groups.iter().any(is_stamp)
}

fn is_epoch(group: &[u8]) -> bool {
    matches!(group.len(), 10 | 13) && group.starts_with(b"1")
}

/// `yyyymmdd`, with `hhmm` or `hhmmss` behind it or not.
fn is_packed_date(group: &[u8]) -> bool {
    let part = |from: usize, to: usize| group.get(from..to).unwrap_or_default();
    matches!(group.len(), 8 | 12 | 14) && is_year(part(0, 4)) && is_month_day(part(4, 6), part(6, 8))
}

fn is_year(group: &[u8]) -> bool {
    group.len() == 4 && (group.starts_with(b"19") || group.starts_with(b"20"))
}

fn is_month_day(month: &[u8], day: &[u8]) -> bool {
    matches!(number(month), Some(1..=12)) && matches!(number(day), Some(1..=31))
}

/// A number of at most two digits.
fn number(group: &[u8]) -> Option<u8> {
    if group.len() > 2 { None } else { std::str::from_utf8(group).ok()?.parse().ok() }
}

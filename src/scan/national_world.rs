//! National identifiers of countries outside Europe; the list and the helpers are in `national`.

use super::national::{at, has_day_month, number, rest11};
use super::validate::{digit, is_uniform, weighted};

fn br_check(b: &[u8], weights: &[u32]) -> Option<u32> {
    rest11(b, weights).map(|r| if r < 2 { 0 } else { 11 - r })
}

pub(super) fn br_cpf(b: &[u8]) -> bool {
    b.len() == 11
        && !is_uniform(b)
        && br_check(b, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) == at(b, 9)
        && br_check(b, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == at(b, 10)
}

pub(super) fn br_cnpj(b: &[u8]) -> bool {
    b.len() == 14
        && !is_uniform(b)
        && br_check(b, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == at(b, 12)
        && br_check(b, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == at(b, 13)
}

pub(super) fn ar_cuit(b: &[u8]) -> bool {
    let check = rest11(b, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]).map(|r| match 11 - r {
        11 => 0,
        10 => 9,
        n => n,
    });
    b.len() == 11 && matches!(number(b, 0, 2), Some(20 | 23 | 24 | 27 | 30 | 33 | 34)) && check == at(b, 10)
}

pub(super) fn cl_rut(b: &[u8]) -> bool {
    let Some((&last, body)) = b.split_last() else { return false };
    let sum = body.iter().rev().zip([2, 3, 4, 5, 6, 7, 2, 3, 4]).try_fold(0, |s, (&d, w)| Some(s + digit(d)? * w));
    let check = sum.map(|s| match 11 - s % 11 {
        11 => b'0',
        10 => b'K',
        n => b'0' + n as u8,
    });
    matches!(b.len(), 8 | 9) && !is_uniform(body) && check == Some(last)
}

pub(super) fn mx_curp(b: &[u8]) -> bool {
    let value = |c: u8| match c {
        b'0'..=b'9' => Some(u32::from(c - b'0')),
        b'A'..=b'N' => Some(u32::from(c - b'A') + 10),
        b'O'..=b'Z' => Some(u32::from(c - b'O') + 25),
        _ => None,
    };
    let sum = b.iter().take(17).enumerate().try_fold(0, |s, (i, &c)| Some(s + value(c)? * (18 - i as u32)));
    b.len() == 18 && has_day_month(b, 8, 6) && sum.map(|s| (10 - s % 10) % 10) == at(b, 17)
}

pub(super) fn verhoeff(b: &[u8]) -> bool {
    const PERMUTED: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    /// The dihedral group of order ten.
    fn times(a: u8, b: u8) -> u8 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b - 5) % 5 + 5,
            (false, true) => (a - 5 + 5 - b) % 5 + 5,
            (false, false) => (a - 5 + 5 - (b - 5)) % 5,
        }
    }
    let result = b.iter().rev().enumerate().try_fold(0u8, |sum, (i, &c)| {
        let mut value = digit(c)? as u8;
        for _ in 0..i % 8 {
            value = *PERMUTED.get(usize::from(value))?;
        }
        Some(times(sum, value))
    });
    result == Some(0) && !is_uniform(b)
}

pub(super) fn cn_ric(b: &[u8]) -> bool {
    let rest = rest11(b, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let year = matches!(number(b, 6, 4), Some(1880..=2100));
    b.len() == 18 && year && has_day_month(b, 12, 10) && rest.and_then(|r| b"10X98765432".get(r as usize)) == b.last()
}

pub(super) fn kr_rrn(b: &[u8]) -> bool {
    let rest = rest11(b, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    b.len() == 13
        && has_day_month(b, 4, 2)
        && matches!(b.get(6), Some(b'0'..=b'9'))
        && rest.map(|r| (11 - r) % 10) == at(b, 12)
}

pub(super) fn jp_my_number(b: &[u8]) -> bool {
    let rest = rest11(b, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    b.len() == 12 && !is_uniform(b) && rest.map(|r| if r < 2 { 0 } else { 11 - r }) == at(b, 11)
}

pub(super) fn tw_id(b: &[u8]) -> bool {
    let Some(&first) = b.first() else { return false };
    let code = b"ABCDEFGHJKLMNPQRSTUVXYWZIO".iter().position(|&c| c == first).map(|i| i as u32 + 10);
    let rest = b.get(1..).and_then(|r| weighted(r, &[8, 7, 6, 5, 4, 3, 2, 1, 1]));
    b.len() == 10
        && matches!(b.get(1), Some(b'1' | b'2' | b'8' | b'9'))
        && code.zip(rest).is_some_and(|(c, r)| (c / 10 + c % 10 * 9 + r) % 10 == 0)
}

pub(super) fn hk_id(b: &[u8]) -> bool {
    let (&last, body) = match b.split_last() {
        Some(parts) => parts,
        None => return false,
    };
    let check = if last == b'A' { Some(10) } else { digit(last) };
    let value = |c: u8| if c.is_ascii_digit() { u32::from(c - b'0') } else { u32::from(c - b'A') + 10 };
    let blank = if body.len() == 7 { 36 * 9 } else { 0 };
    let sum: u32 = body.iter().rev().zip(2..).map(|(&c, w)| value(c) * w).sum();
    matches!(b.len(), 8 | 9)
        && body.iter().all(u8::is_ascii_alphanumeric)
        && check.is_some_and(|c| (sum + blank + c).is_multiple_of(11))
}

pub(super) fn sg_nric(b: &[u8]) -> bool {
    let (Some(&first), Some(digits)) = (b.first(), b.get(1..8)) else { return false };
    let offset = match first {
        b'T' | b'G' => 4,
        b'M' => 3,
        _ => 0,
    };
    let table: &[u8] = match first {
        b'S' | b'T' => b"JZIHGFEDCBA",
        b'F' | b'G' => b"XWUTRQPNMLK",
        b'M' => b"",
        _ => return false,
    };
    let rest = weighted(digits, &[2, 7, 6, 5, 4, 3, 2]).map(|s| (s + offset) % 11);
    let index = rest.map(|r| if first == b'M' { 10 - r } else { r } as usize);
    let letter =
        if first == b'M' { index.and_then(|i| b"KLJNPQRTUWX".get(i)) } else { index.and_then(|i| table.get(i)) };
    b.len() == 9 && letter == b.last()
}

pub(super) fn th_id(b: &[u8]) -> bool {
    let rest = rest11(b, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    b.len() == 13 && matches!(b.first(), Some(b'1'..=b'8')) && rest.map(|r| (11 - r) % 10) == at(b, 12)
}

pub(super) fn au_medicare(b: &[u8]) -> bool {
    let sum = weighted(b, &[1, 3, 7, 9, 1, 3, 7, 9]);
    matches!(b.len(), 10 | 11) && matches!(b.first(), Some(b'2'..=b'6')) && sum.map(|s| s % 10) == at(b, 8)
}

pub(super) fn nz_ird(b: &[u8]) -> bool {
    let mut digits = [b'0'; 9];
    let Some(tail) = digits.get_mut(9 - b.len().min(9)..) else { return false };
    if !matches!(b.len(), 8 | 9) {
        return false;
    }
    tail.copy_from_slice(b);
    let in_range = matches!(number(&digits, 0, 9), Some(10_000_000..=150_000_000));
    let check = |weights: &[u32]| rest11(&digits, weights).map(|r| (11 - r) % 11);
    let first = check(&[3, 2, 7, 6, 5, 4, 3, 2]);
    let found = if first == Some(10) { check(&[7, 4, 3, 2, 5, 2, 7, 6]) } else { first };
    in_range && found == at(&digits, 8)
}

pub(super) fn ru_snils(b: &[u8]) -> bool {
    let sum = weighted(b, &[9, 8, 7, 6, 5, 4, 3, 2, 1]).map(|s| u64::from(s % 101 % 100));
    b.len() == 11 && !is_uniform(b.get(..9).unwrap_or_default()) && sum == number(b, 9, 2)
}

pub(super) fn ru_inn(b: &[u8]) -> bool {
    let check = |weights: &[u32]| rest11(b, weights).map(|r| r % 10);
    b.len() == 12
        && !is_uniform(b)
        && check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) == at(b, 10)
        && check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) == at(b, 11)
}

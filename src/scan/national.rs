//! National identifiers: their published checksums and structures, over squeezed upper-case matches.
//!
//! Each function names its country in ISO 3166; sources are the issuing authorities' published algorithms. What has
//! no checksum is checked for its structure (dates, ranges) and needs context words in its pack.

use super::national_world as world;
use super::validate::{digit, is_uniform, luhn, weighted};

/// The check of that name.
pub(super) fn named(name: &str) -> Option<fn(&[u8]) -> bool> {
    let found = NAMED.iter().find(|(own, _)| *own == name);
    found.map(|(_, check)| *check)
}

type Check = fn(&[u8]) -> bool;

const NAMED: &[(&str, Check)] = &[
    ("us_ssn", us_ssn),
    ("us_itin", us_itin),
    ("ca_sin", |b| b.len() == 9 && !matches!(b.first(), Some(b'0' | b'8')) && luhn(b)),
    ("gb_nino", gb_nino),
    ("gb_nhs", |b| b.len() == 10 && !is_uniform(b) && rest11(b, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) == Some(0)),
    ("de_steuer_id", de_steuer_id),
    ("fr_nir", fr_nir),
    ("it_cf", it_cf),
    ("es_dni", es_dni),
    ("pt_nif", pt_nif),
    ("nl_bsn", nl_bsn),
    ("be_nrn", be_nrn),
    ("ch_ahv", |b| b.len() == 13 && b.starts_with(b"756") && ean(b)),
    ("at_svnr", at_svnr),
    ("pl_pesel", pl_pesel),
    ("se_pnr", se_pnr),
    ("no_fnr", no_fnr),
    ("dk_cpr", |b| b.len() == 10 && has_day_month(b, 0, 2)),
    ("fi_hetu", fi_hetu),
    ("ee_isikukood", ee_isikukood),
    ("ie_pps", ie_pps),
    ("ro_cnp", ro_cnp),
    ("bg_egn", bg_egn),
    ("cz_rc", cz_rc),
    ("hr_oib", |b| b.len() == 11 && iso7064_11_10(b)),
    ("si_emso", si_emso),
    ("gr_amka", |b| b.len() == 11 && has_day_month(b, 0, 2) && luhn(b)),
    ("tr_tckn", tr_tckn),
    ("il_id", |b| b.len() == 9 && !is_uniform(b) && luhn(b)),
    ("za_id", |b| b.len() == 13 && has_day_month(b, 4, 2) && matches!(b.get(10), Some(b'0' | b'1')) && luhn(b)),
    ("br_cpf", world::br_cpf),
    ("br_cnpj", world::br_cnpj),
    ("ar_cuit", world::ar_cuit),
    ("cl_rut", world::cl_rut),
    ("mx_curp", world::mx_curp),
    ("in_aadhaar", |b| b.len() == 12 && !matches!(b.first(), Some(b'0' | b'1')) && world::verhoeff(b)),
    ("cn_ric", world::cn_ric),
    ("kr_rrn", world::kr_rrn),
    ("jp_my_number", world::jp_my_number),
    ("tw_id", world::tw_id),
    ("hk_id", world::hk_id),
    ("sg_nric", world::sg_nric),
    ("th_id", world::th_id),
    ("au_tfn", |b| b.len() == 9 && !is_uniform(b) && rest11(b, &[1, 4, 3, 7, 5, 8, 6, 9, 10]) == Some(0)),
    ("au_medicare", world::au_medicare),
    ("nz_ird", world::nz_ird),
    ("ru_snils", world::ru_snils),
    ("ru_inn", world::ru_inn),
    ("my_nric", |b| b.len() == 12 && has_day_month(b, 4, 2)),
];

pub(super) fn rest11(bytes: &[u8], weights: &[u32]) -> Option<u32> {
    weighted(bytes, weights).map(|sum| sum % 11)
}

pub(super) fn at(bytes: &[u8], i: usize) -> Option<u32> {
    bytes.get(i).and_then(|&b| digit(b))
}

pub(super) fn number(bytes: &[u8], from: usize, len: usize) -> Option<u64> {
    bytes.get(from..from + len)?.iter().try_fold(0, |n, &b| Some(n * 10 + u64::from(digit(b)?)))
}

/// Whether two digits at `day` and two at `month` can be a date.
pub(super) fn has_day_month(bytes: &[u8], day: usize, month: usize) -> bool {
    matches!(number(bytes, day, 2), Some(1..=31)) && matches!(number(bytes, month, 2), Some(1..=12))
}

/// Luhn's weights from the left for EAN-like sums: 1, 3, 1, 3, … and the total divisible by ten.
fn ean(bytes: &[u8]) -> bool {
    weighted(bytes, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_some_and(|s| s % 10 == 0)
}

/// ISO 7064 MOD 11,10.
fn iso7064_11_10(bytes: &[u8]) -> bool {
    let Some((last, body)) = bytes.split_last() else { return false };
    let rest = body.iter().try_fold(10, |p, &b| {
        let sum = (p + digit(b)?) % 10;
        Some(if sum == 0 { 10 } else { sum } * 2 % 11)
    });
    !is_uniform(bytes) && rest.is_some_and(|p| digit(*last) == Some((11 - p) % 10))
}

fn us_ssn(b: &[u8]) -> bool {
    let (area, group, serial) = (number(b, 0, 3), number(b, 3, 2), number(b, 5, 4));
    b.len() == 9
        && !matches!(area, None | Some(0 | 666 | 900..))
        && !matches!(group, None | Some(0))
        && !matches!(serial, None | Some(0))
        && !is_uniform(b)
        && b != b"123456789"
}

fn us_itin(b: &[u8]) -> bool {
    b.len() == 9
        && matches!(number(b, 0, 3), Some(900..))
        && matches!(number(b, 3, 2), Some(50..=65 | 70..=88 | 90..=92 | 94..=99))
}

fn gb_nino(b: &[u8]) -> bool {
    let Some(&[first, second]) = b.get(..2) else { return false };
    let bad = [*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"];
    b.len() == 9
        && !b"DFIQUV".contains(&first)
        && !b"DFIQUVO".contains(&second)
        && !bad.contains(&[first, second])
        && number(b, 2, 6).is_some()
        && matches!(b.get(8), Some(b'A'..=b'D'))
}

fn de_steuer_id(b: &[u8]) -> bool {
    let body = b.get(..10).unwrap_or_default();
    let mut counts = [0u8; 10];
    body.iter().filter_map(|&d| digit(d)).for_each(|d| {
        if let Some(count) = counts.get_mut(d as usize) {
            *count += 1;
        }
    });
    let repeated: Vec<u8> = counts.iter().copied().filter(|&c| c > 1).collect();
    b.len() == 11 && b.first() != Some(&b'0') && matches!(repeated.as_slice(), [2 | 3]) && iso7064_11_10(b)
}

fn fr_nir(b: &[u8]) -> bool {
    let mut digits = [0u8; 15];
    if b.len() != 15 {
        return false;
    }
    digits.copy_from_slice(b);
    let offset = match (b.get(5), b.get(6)) {
        (Some(b'2'), Some(b'A')) => 1_000_000,
        (Some(b'2'), Some(b'B')) => 2_000_000,
        _ => 0,
    };
    if offset > 0 {
        digits[6] = b'0';
    }
    let (body, key) = (number(&digits, 0, 13), number(&digits, 13, 2));
    let month = matches!(number(&digits, 3, 2), Some(1..=12 | 20..=42 | 50..=99));
    matches!(b.first(), Some(b'1' | b'2' | b'3' | b'4' | b'7' | b'8'))
        && month
        && body.zip(key).is_some_and(|(n, k)| 97 - (n - offset) % 97 == k)
}

fn it_cf(b: &[u8]) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
        10, 22, 25, 24, 23,
    ];
    let value = |c: u8| match c {
        b'0'..=b'9' => Some(usize::from(c - b'0')),
        b'A'..=b'Z' => Some(usize::from(c - b'A') + 10),
        _ => None,
    };
    let sum = b.iter().take(15).enumerate().try_fold(0, |sum, (i, &c)| {
        let v = value(c)?;
        let even = if v > 9 { v as u32 - 10 } else { v as u32 };
        Some(sum + if i % 2 == 0 { *ODD.get(v)? } else { even })
    });
    b.len() == 16 && sum.is_some_and(|s| b.last() == Some(&(b'A' + (s % 26) as u8)))
}

fn es_dni(b: &[u8]) -> bool {
    let Some((&letter, body)) = b.split_last() else { return false };
    let mut digits = [b'0'; 8];
    if body.len() != 8 {
        return false;
    }
    digits.copy_from_slice(body);
    digits[0] = match digits[0] {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        other => other,
    };
    let index = number(&digits, 0, 8).map(|n| (n % 23) as usize);
    !is_uniform(&digits) && index.and_then(|i| b"TRWAGMYFPDXBNJZSQVHLCKE".get(i)) == Some(&letter)
}

fn pt_nif(b: &[u8]) -> bool {
    let rest = rest11(b, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let check = rest.map(|r| if r < 2 { 0 } else { 11 - r });
    b.len() == 9
        && matches!(b.first(), Some(b'1'..=b'3' | b'5' | b'6' | b'8' | b'9'))
        && !is_uniform(b)
        && check == at(b, 8)
}

fn nl_bsn(b: &[u8]) -> bool {
    b.len() == 9
        && !is_uniform(b)
        && weighted(b, &[9, 8, 7, 6, 5, 4, 3, 2]).zip(at(b, 8)).is_some_and(|(s, c)| (s + 110 - c) % 11 == 0)
}

fn be_nrn(b: &[u8]) -> bool {
    let (body, check) = (number(b, 0, 9), number(b, 9, 2));
    let fits = |n: u64| check == Some(97 - n % 97);
    b.len() == 11 && has_day_month(b, 4, 2) && body.is_some_and(|n| fits(n) || fits(n + 2_000_000_000))
}

fn at_svnr(b: &[u8]) -> bool {
    let sum = weighted(b, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    b.len() == 10 && b.first() != Some(&b'0') && has_day_month(b, 4, 6) && sum.map(|s| s % 11) == at(b, 3)
}

fn pl_pesel(b: &[u8]) -> bool {
    let month = number(b, 2, 2).map(|m| m % 20);
    let sum = weighted(b, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    b.len() == 11
        && matches!(month, Some(1..=12))
        && matches!(number(b, 4, 2), Some(1..=31))
        && sum.is_some_and(|s| s % 10 == 0)
}

fn se_pnr(b: &[u8]) -> bool {
    let short = if b.len() == 12 { b.get(2..).unwrap_or_default() } else { b };
    let century = b.len() == 10 || matches!(number(b, 0, 2), Some(18..=20));
    let day = number(short, 4, 2);
    short.len() == 10
        && century
        && matches!(number(short, 2, 2), Some(1..=12))
        && matches!(day, Some(1..=31 | 61..=91))
        && luhn(short)
}

fn no_fnr(b: &[u8]) -> bool {
    b.len() == 11
        && matches!(number(b, 0, 2), Some(1..=31 | 41..=71))
        && matches!(number(b, 2, 2), Some(1..=12 | 41..=52 | 81..=92))
        && rest11(b, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) == Some(0)
        && rest11(b, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) == Some(0)
}

/// Squeezing takes the century sign out where it is `-` or `+`: 10 characters then, else 11.
fn fi_hetu(b: &[u8]) -> bool {
    let (date, rest) = (b.get(..6), b.get(b.len().saturating_sub(4)..));
    let serial = rest.and_then(|r| number(r, 0, 3));
    let index = number(b, 0, 6).zip(serial).map(|(d, s)| ((d * 1000 + s) % 31) as usize);
    matches!(b.len(), 10 | 11)
        && date.is_some_and(|d| has_day_month(d, 0, 2))
        && index.and_then(|i| b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(i)) == b.last()
}

/// Estonia and Lithuania share the form.
fn ee_isikukood(b: &[u8]) -> bool {
    let first = rest11(b, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]);
    let check = match first {
        Some(10) => rest11(b, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]).map(|r| r % 10),
        other => other,
    };
    b.len() == 11 && matches!(b.first(), Some(b'1'..=b'6')) && has_day_month(b, 5, 3) && check == at(b, 10)
}

fn ie_pps(b: &[u8]) -> bool {
    let sum = weighted(b, &[8, 7, 6, 5, 4, 3, 2]);
    let extra = match b.get(8) {
        None => Some(0),
        Some(&c @ b'A'..=b'I') => Some(u32::from(c - b'A' + 1) * 9),
        Some(b'W') => Some(0),
        Some(_) => None,
    };
    let index = sum.zip(extra).map(|(s, e)| ((s + e) % 23) as usize);
    matches!(b.len(), 8 | 9) && index.and_then(|i| b"WABCDEFGHIJKLMNOPQRSTUV".get(i)) == b.get(7)
}

fn ro_cnp(b: &[u8]) -> bool {
    let check = rest11(b, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]).map(|r| if r == 10 { 1 } else { r });
    b.len() == 13 && matches!(b.first(), Some(b'1'..=b'9')) && has_day_month(b, 5, 3) && check == at(b, 12)
}

fn bg_egn(b: &[u8]) -> bool {
    let check = rest11(b, &[2, 4, 8, 5, 10, 9, 7, 3, 6]).map(|r| r % 10);
    let month = matches!(number(b, 2, 2), Some(1..=12 | 21..=32 | 41..=52));
    b.len() == 10 && month && matches!(number(b, 4, 2), Some(1..=31)) && check == at(b, 9)
}

fn cz_rc(b: &[u8]) -> bool {
    let month = matches!(number(b, 2, 2), Some(1..=12 | 21..=32 | 51..=62 | 71..=82));
    b.len() == 10 && month && matches!(number(b, 4, 2), Some(1..=31)) && number(b, 0, 10).is_some_and(|n| n % 11 == 0)
}

fn si_emso(b: &[u8]) -> bool {
    let check = rest11(b, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]).map(|r| (11 - r) % 11);
    b.len() == 13 && has_day_month(b, 0, 2) && check == at(b, 12)
}

fn tr_tckn(b: &[u8]) -> bool {
    let odd = weighted(b, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(b, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let tenth = odd.zip(even).map(|(o, e)| (o * 7 + 90 - e) % 10);
    let all = weighted(b, &[1; 10]).map(|s| s % 10);
    b.len() == 11 && b.first() != Some(&b'0') && tenth == at(b, 9) && all == at(b, 10)
}

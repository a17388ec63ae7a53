//! Validators: what tells a real number or secret from one that merely has the shape.
//!
//! Two kinds: checksums over the squeezed match (letters upper-cased, separators taken out), and checks that look at
//! the match in its surroundings. Sources: ISO/IEC 7812 (Luhn, issuer prefixes), ISO 13616 (IBAN, mod 97 of ISO 7064),
//! ABA routing numbers (weights 3 7 1), ISO 17442 (LEI), NPI (Luhn over 80840), DEA numbers.

use super::check::Span;
use super::{national, pan, phone, secret};

/// A named check.
#[derive(Clone, Copy, Debug)]
pub(super) enum Validator {
    /// Over the squeezed match; a checksum.
    Sum(fn(&[u8]) -> bool),
    /// In its surroundings; `None` means that more text is needed. The flag says whether it proves a checksum.
    Site(fn(&Span<'_>) -> Option<bool>, bool),
}

/// Longest squeezed match.
const SQUEEZED_BYTES_MAX: usize = 64;

impl Validator {
    /// The validator of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "luhn" => Validator::Sum(luhn),
            "iban" => Validator::Sum(iban),
            "aba" => Validator::Sum(aba),
            "lei" => Validator::Sum(|b| b.len() == 20 && mod97(b) == Some(1)),
            "npi" => Validator::Sum(npi),
            "dea" => Validator::Sum(dea),
            "imei" => Validator::Sum(|b| b.len() == 15 && luhn(b)),
            "vin" => Validator::Sum(vin),
            "pan" => Validator::Site(pan::check, true),
            "email" => Validator::Site(|s| Some(secret::email(s)), false),
            "phone" => Validator::Site(|s| Some(phone(s)), false),
            "phone_loose" => Validator::Site(|s| Some(phone(s) && !phone::is_date_or_id(s)), false),
            "varied" => Validator::Site(|s| Some(!is_uniform(s.bytes())), false),
            "record_number" => Validator::Site(|s| Some(!is_counted(s.bytes())), false),
            "connection" => Validator::Site(|s| Some(secret::connection(s.bytes())), false),
            "ipv4" => Validator::Site(|s| Some(ipv4(s)), false),
            "jwt" => Validator::Site(|s| Some(secret::jwt(s.bytes())), false),
            "password" => Validator::Site(secret::password, false),
            "key" => Validator::Site(secret::key, false),
            "mixed" => Validator::Site(|s| Some(secret::is_mixed(s.bytes())), false),
            "not_flag" => Validator::Site(|s| Some(not_flag(s)), false),
            _ => return national::named(name).map(Validator::Sum),
        })
    }

    pub(super) fn is_checksum(self) -> bool {
        matches!(self, Validator::Sum(_) | Validator::Site(_, true))
    }

    pub(super) fn check(self, span: &Span<'_>) -> Option<bool> {
        match self {
            Validator::Site(check, _) => check(span),
            Validator::Sum(check) => {
                let mut buffer = [0u8; SQUEEZED_BYTES_MAX];
                let mut len = 0;
                for &byte in span.bytes().iter().filter(|b| b.is_ascii_alphanumeric()) {
                    let Some(slot) = buffer.get_mut(len) else { return Some(false) };
                    *slot = byte.to_ascii_uppercase();
                    len += 1;
                }
                Some(check(buffer.get(..len).unwrap_or_default()))
            }
        }
    }
}

/// A digit's value.
pub(super) fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

/// Sum of digit times weight, `None` when a digit is missing or is none.
pub(super) fn weighted(bytes: &[u8], weights: &[u32]) -> Option<u32> {
    if bytes.len() < weights.len() {
        return None;
    }
    bytes.iter().zip(weights).try_fold(0, |sum, (&b, w)| Some(sum + digit(b)? * w))
}

/// Whether all bytes are the same.
pub(super) fn is_uniform(bytes: &[u8]) -> bool {
    bytes.windows(2).all(|pair| pair.first() == pair.last())
}

/// Whether the digits are one repeated, or count up or down (`123456`): what stands for a number in examples.
fn is_counted(bytes: &[u8]) -> bool {
    let digits = || bytes.iter().filter(|b| b.is_ascii_digit());
    let all_step = |step: i16| digits().zip(digits().skip(1)).all(|(a, b)| i16::from(*b) - i16::from(*a) == step);
    [-1, 0, 1].into_iter().any(all_step)
}

/// Luhn's check over digits (ISO/IEC 7812-1 annex B); zeros alone do not count.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().try_fold(0, |sum, (i, &b)| {
        let value = digit(b)?;
        Some(sum + if i % 2 == 0 { value } else { value * 2 / 10 + value * 2 % 10 })
    });
    sum.is_some_and(|sum| sum > 0 && sum % 10 == 0)
}

/// Remainder modulo 97 of digits and letters (A = 10 … Z = 35).
pub(super) fn mod97(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |rest, &b| match b {
        b'0'..=b'9' => Some((rest * 10 + u32::from(b - b'0')) % 97),
        b'A'..=b'Z' => Some((rest * 100 + u32::from(b - b'A') + 10) % 97),
        _ => None,
    })
}

/// Length of an IBAN by country (SWIFT IBAN registry).
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 \
    ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 \
    LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 \
    SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

fn iban(bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_at_checked(4) else { return false };
    let country = head.get(..2).unwrap_or_default();
    let wanted = IBAN_LENGTHS.split(' ').find(|entry| entry.as_bytes().starts_with(country));
    let length = wanted.and_then(|entry| entry.get(2..)).and_then(|n| n.parse::<usize>().ok());
    let mut turned = [0u8; SQUEEZED_BYTES_MAX];
    let Some(slot) = turned.get_mut(..bytes.len()) else { return false };
    slot.iter_mut().zip(rest.iter().chain(head)).for_each(|(to, from)| *to = *from);
    length == Some(bytes.len()) && mod97(slot) == Some(1)
}

fn aba(bytes: &[u8]) -> bool {
    let prefix = bytes.get(..2).and_then(|p| weighted(p, &[10, 1]));
    let in_range = matches!(prefix, Some(1..=12 | 21..=32 | 61..=72 | 80));
    in_range && weighted(bytes, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_some_and(|sum| sum % 10 == 0)
}

fn npi(bytes: &[u8]) -> bool {
    let mut digits = *b"808400000000000";
    let Some(tail) = digits.get_mut(5..) else { return false };
    if bytes.len() != tail.len() {
        return false;
    }
    tail.copy_from_slice(bytes);
    luhn(&digits)
}

fn dea(bytes: &[u8]) -> bool {
    let Some(digits) = bytes.get(2..9) else { return false };
    let sum = weighted(digits, &[1, 2, 1, 2, 1, 2]);
    let last = digits.last().and_then(|&b| digit(b));
    sum.is_some_and(|sum| Some(sum % 10) == last) && !is_uniform(digits)
}

/// Vehicle identification number with the check digit of 49 CFR 565.
fn vin(bytes: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |b: u8| match b {
        b'0'..=b'9' => Some(u32::from(b - b'0')),
        b'A'..=b'H' => Some(u32::from(b - b'A') + 1),
        b'J'..=b'N' => Some(u32::from(b - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        b'S'..=b'Z' => Some(u32::from(b - b'S') + 2),
        _ => None,
    };
    let sum = bytes.iter().zip(WEIGHTS).try_fold(0, |sum, (&b, w)| Some(sum + value(b)? * w));
    let check = match bytes.get(8) {
        Some(b'X') => Some(10),
        Some(&b) => digit(b),
        None => None,
    };
    bytes.len() == 17 && !is_uniform(bytes) && sum.map(|s| s % 11) == check
}

/// A plausible count of digits, not all alike, and no date.
fn phone(span: &Span<'_>) -> bool {
    let digits = span.bytes().iter().filter(|b| b.is_ascii_digit());
    let first = digits.clone().next();
    let count = digits.clone().count();
    (7..=15).contains(&count) && digits.clone().skip(3).any(|d| Some(d) != first)
}

/// Four numbers to 255 that are no version, loopback, mask or documentation address.
fn ipv4(span: &Span<'_>) -> bool {
    let text = std::str::from_utf8(span.bytes()).unwrap_or_default();
    let address: Option<std::net::Ipv4Addr> = text.parse().ok();
    address.is_some_and(|a| {
        !(a.is_loopback() || a.is_unspecified() || a.is_broadcast() || a.is_multicast() || a.octets()[0] == 255)
    })
}

/// Tag characters that do not belong to a flag emoji.
fn not_flag(span: &Span<'_>) -> bool {
    !span.norm.get(..span.start).unwrap_or_default().ends_with("\u{1f3f4}".as_bytes())
}

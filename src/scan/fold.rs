//! Folding of characters that stand for others: one character at a time, so a split never changes the outcome.
//!
//! Digits of any script and mathematical alphabets become ASCII, odd spaces and dashes become ` ` and `-`,
//! characters that cannot be seen (zero width, soft hyphen, bidi controls, variation selectors, combining marks)
//! are dropped, look-alike letters of other scripts become their Latin shapes. Sources: Unicode 16 general category Nd,
//! UAX 15 (compatibility decomposition), UTS 39 (a hand-picked part of the confusables). Scripts without
//! look-alikes (CJK, Hangul, kana, …) pass untouched.

use unicode_normalization::char::decompose_compatible;

/// The byte that stands for one Unicode tag character (U+E0000 to U+E007F) in folded text.
pub(super) const TAG: u8 = 0x10;

/// What a character becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// Nothing.
    Drop,
    /// Itself.
    Keep,
    /// These ASCII bytes.
    Ascii([u8; 4], u8),
}

/// Whether an ASCII byte stands for itself in folded text.
pub(super) const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)
}

/// Folds one character.
pub(super) fn fold(c: char) -> Fold {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' => Fold::Keep,
        '\u{b}' | '\u{c}' => one(b' '),
        '\0'..='\u{1f}' | '\u{7f}' => Fold::Drop,
        '\u{85}' | '\u{2028}' | '\u{2029}' => one(b'\n'),
        _ if is_invisible(c) => Fold::Drop,
        '\u{e0000}'..='\u{e007f}' => one(TAG),
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => one(b' '),
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => one(b'-'),
        '\u{b7}' | '\u{2022}' | '\u{2024}' | '\u{30fb}' => one(b'.'),
        '\u{2018}' | '\u{2019}' | '\u{201b}' => one(b'\''),
        '\u{201c}' | '\u{201d}' => one(b'"'),
        '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{e000}'..='\u{f8ff}' => digit(c),
        _ => match digit(c) {
            Fold::Keep => look_alike(c),
            folded => folded,
        },
    }
}

const fn one(byte: u8) -> Fold {
    Fold::Ascii([byte, 0, 0, 0], 1)
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}'
        | '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// First digits of the decimal digit blocks outside the compatibility characters (Unicode category Nd).
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
];

fn digit(c: char) -> Fold {
    let code = c as u32;
    if (0x1d7ce..=0x1d7ff).contains(&code) {
        return one(b'0' + ((code - 0x1d7ce) % 10) as u8);
    }
    let block = ZEROS.partition_point(|&zero| zero <= code);
    match block.checked_sub(1).and_then(|i| ZEROS.get(i)) {
        Some(&zero) if code - zero < 10 => one(b'0' + (code - zero) as u8),
        _ => Fold::Keep,
    }
}

/// The ASCII shape of a compatibility character, an accented letter or a look-alike.
fn look_alike(c: char) -> Fold {
    let latin = match c {
        'а' | 'α' => b'a',
        'А' | 'Α' => b'A',
        'В' | 'Β' => b'B',
        'с' | 'ϲ' => b'c',
        'С' | 'Ϲ' => b'C',
        'е' | 'ҽ' => b'e',
        'Е' | 'Ε' => b'E',
        'Н' | 'Η' => b'H',
        'һ' => b'h',
        'і' | 'ι' => b'i',
        'І' | 'Ι' | 'Ӏ' => b'I',
        'ј' => b'j',
        'Ј' => b'J',
        'К' | 'Κ' => b'K',
        'к' | 'κ' => b'k',
        'М' | 'Μ' => b'M',
        'Ν' => b'N',
        'о' | 'ο' | 'օ' => b'o',
        'О' | 'Ο' => b'O',
        'р' | 'ρ' => b'p',
        'Р' | 'Ρ' => b'P',
        'ѕ' => b's',
        'Ѕ' => b'S',
        'Т' | 'Τ' => b'T',
        'ν' => b'v',
        'х' | 'χ' => b'x',
        'Х' | 'Χ' => b'X',
        'у' | 'γ' => b'y',
        'У' | 'Υ' | 'Ү' => b'Y',
        'Ζ' => b'Z',
        'ı' => b'i',
        _ => return decomposed(c),
    };
    one(latin)
}

fn decomposed(c: char) -> Fold {
    if !matches!(c as u32, 0xa0..=0x24f | 0x1e00..=0x1eff | 0x2000..=0x2bff | 0xfb00..=0xfb06 | 0xfe50..=0xffef
        | 0x1d400..=0x1d7cd | 0x1f100..=0x1f1ff)
    {
        return Fold::Keep;
    }
    let (mut bytes, mut len, mut fits) = ([0; 4], 0usize, true);
    decompose_compatible(c, |part| {
        if part.is_ascii() && !part.is_ascii_control() {
            match bytes.get_mut(len) {
                Some(slot) => *slot = part as u8,
                None => fits = false,
            }
            len += 1;
        } else if !is_invisible(part) {
            fits = false;
        }
    });
    if fits && len > 0 { Fold::Ascii(bytes, len as u8) } else { Fold::Keep }
}

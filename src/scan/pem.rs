//! PEM private keys: the whole block from `-----BEGIN` to the end line (RFC 7468), also where it was cut short.
//!
//! A block is withheld from its first dash. It may hold what PEM files hold in the wild: line breaks written as
//! `\n`, quotes and `+` of source code, RFC 1421 header lines. Without an end line, what looks like key material
//! counts up to the first character that cannot belong to it.

/// Longest block, in folded bytes; an RSA key of 8,192 bits takes 6.4 KiB.
pub(super) const BLOCK_BYTES_MAX: usize = 8 * 1024 - 64;

/// Shortest key material that counts without an end line.
const MATERIAL_BYTES_MIN: usize = 40;

/// Longest label between the dashes.
const LABEL_BYTES_MAX: usize = 40;

/// The end of the block that begins at `at`: `None` when more text is needed, `at` itself when there is none. The flag
/// says that the block was longer than [`BLOCK_BYTES_MAX`] and was cut.
pub(super) fn block(norm: &[u8], at: usize, is_final: bool) -> (Option<usize>, bool) {
    let none = (Some(at), false);
    let rest = norm.get(at..).unwrap_or_default();
    let rest = rest.get(..BLOCK_BYTES_MAX).unwrap_or(rest);
    let Some(label) = rest.strip_prefix(b"-----BEGIN ") else { return none };
    let window = label.get(..LABEL_BYTES_MAX).unwrap_or(label);
    let Some(label_len) = window.iter().position(|&b| b == b'-') else {
        let may_go_on = window.len() < LABEL_BYTES_MAX && window.iter().all(|&b| is_label(b));
        return if may_go_on && !is_final { (None, false) } else { none };
    };
    let name = window.get(..label_len).unwrap_or_default();
    if !name.iter().all(|&b| is_label(b)) || memchr::memmem::find(name, b"PRIVATE KEY").is_none() {
        return none;
    }
    let body = 11 + label_len;
    if let Some(end) = end_line(rest, body) {
        return (Some(at + end), false);
    }
    let material = rest.get(body..).unwrap_or_default();
    let len = material.iter().take_while(|&&b| is_material(b)).count();
    if has_no_material(solid_head(material)) {
        return none;
    }
    let is_cut = rest.len() == BLOCK_BYTES_MAX && len == material.len();
    if len == material.len() && !is_final && !is_cut {
        return (None, false);
    }
    let solid = material.get(..len).unwrap_or_default();
    let longest = solid.split(|b| !is_base64(*b)).map(<[u8]>::len).max().unwrap_or(0);
    if longest < MATERIAL_BYTES_MIN {
        return none;
    }
    let trailing = solid.iter().rev().take_while(|b| b.is_ascii_whitespace()).count();
    (Some(at + body + len - trailing), is_cut)
}

/// What follows a header line until a line of key material must have begun.
const HEAD_BYTES_MAX: usize = 160;

/// Shortest run of key material in the head.
const HEAD_MATERIAL_BYTES_MIN: usize = 30;

fn solid_head(material: &[u8]) -> &[u8] {
    material.get(..HEAD_BYTES_MAX).unwrap_or_default()
}

/// Whether a whole head holds no key material: prose about PEM files, not a key.
fn has_no_material(head: &[u8]) -> bool {
    head.len() == HEAD_BYTES_MAX && head.split(|b| !is_base64(*b)).all(|run| run.len() < HEAD_MATERIAL_BYTES_MIN)
}

/// One past the end line, where it comes before anything that cannot belong to a block.
fn end_line(rest: &[u8], body: usize) -> Option<usize> {
    let material = rest.get(body..)?;
    let found = memchr::memmem::find(material, b"-----END ")?;
    if !material.get(..found)?.iter().all(|&b| is_material(b)) {
        return None;
    }
    let label = material.get(found + 9..)?;
    let close = memchr::memmem::find(label.get(..LABEL_BYTES_MAX + 5).unwrap_or(label), b"-----")?;
    label.get(..close)?.iter().all(|&b| is_label(b)).then_some(body + found + 9 + close + 5)
}

const fn is_label(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

const fn is_material(byte: u8) -> bool {
    is_base64(byte)
        || byte.is_ascii_whitespace()
        || matches!(byte, b'\\' | b'"' | b'\'' | b':' | b',' | b'-' | b'>' | b'|' | b'.')
}

//! One pass over JSON bytes that says whether they are canonical (RFC 8785, narrowed by DESIGN section 4).
//!
//! Accepted: compact UTF-8 objects, arrays, strings, booleans and integers strictly between -2^53 and 2^53;
//! strings escaped only where they must be and in the one way RFC 8785 section 3.2.2.2 gives; keys ASCII,
//! strictly ascending (so unique). Refused: everything else, floats and nulls included. Keys of version 1 are
//! all ASCII, where UTF-16 order and byte order agree; other keys are refused rather than sorted.

/// Deepest nesting in a head or section.
const DEPTH_MAX: usize = 16;
/// 2^53: integers lie strictly inside.
const INTEGER_LIMIT: u64 = 1 << 53;

/// Where bytes stop being canonical, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical JSON at byte {offset}: {fault}")]
pub struct CanonicalError {
    /// Byte offset.
    pub offset: usize,
    /// What is wrong there.
    pub fault: &'static str,
}

/// Checks that `bytes` are one canonical JSON value.
pub fn check_canonical(bytes: &[u8]) -> Result<(), CanonicalError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(CanonicalError { offset: error.valid_up_to(), fault: "invalid UTF-8" });
    }
    let mut walker = Walker { bytes, at: 0 };
    walker.value(0)?;
    if walker.at == bytes.len() { Ok(()) } else { walker.fail("text after the value") }
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    fn fail<T>(&self, fault: &'static str) -> Result<T, CanonicalError> {
        Err(CanonicalError { offset: self.at, fault })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, depth: usize) -> Result<(), CanonicalError> {
        if depth > DEPTH_MAX {
            return self.fail("nested too deep");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            _ => self.fail("neither string, integer, boolean, array nor object"),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), CanonicalError> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        self.fail("neither string, integer, boolean, array nor object")
    }

    fn object(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        let mut last: Option<&'a [u8]> = None;
        loop {
            let start = self.at;
            let key = self.string()?;
            if !key.is_ascii() || key.contains(&b'\\') {
                self.at = start;
                return self.fail("a key that is not plain ASCII");
            }
            if last.is_some_and(|last| last >= key) {
                self.at = start;
                return self.fail("keys out of order or twice");
            }
            last = Some(key);
            if !self.take(b':') {
                return self.fail("a key without its value");
            }
            self.value(depth + 1)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.fail("an object that does not go on");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.fail("an array that does not go on");
            }
        }
    }

    /// Reads a string; the bytes between its quotes.
    fn string(&mut self) -> Result<&'a [u8], CanonicalError> {
        if !self.take(b'"') {
            return self.fail("a string was due");
        }
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.bytes.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return self.fail("a bare control character"),
                Some(_) => self.at += 1,
                None => return self.fail("a string without its end"),
            }
        }
    }

    /// `\" \\ \b \f \n \r \t`, and `\u00xx` in lower case for the other control characters.
    fn escape(&mut self) -> Result<(), CanonicalError> {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let length = match rest {
            [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..] => 6,
            [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => 6,
            _ => return self.fail("an escape that is not canonical"),
        };
        self.at += length;
        Ok(())
    }

    fn integer(&mut self) -> Result<(), CanonicalError> {
        let negative = self.take(b'-');
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let length = self.at - start;
        let leading_zero = length > 1 && self.bytes.get(start) == Some(&b'0');
        if length == 0 || leading_zero || (negative && value == 0) || value >= INTEGER_LIMIT {
            return self.fail("not an integer in its one spelling, strictly between -2^53 and 2^53");
        }
        match self.peek() {
            Some(b'.' | b'e' | b'E') => self.fail("a float"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check_canonical;

    #[test]
    fn only_the_one_spelling_passes() {
        for good in [r#"{"a":1,"b":[-1,true,"x\u0001\n\""],"c":{}}"#, "9007199254740991", "\"\u{7f}é\"", "0"] {
            assert_eq!(check_canonical(good.as_bytes()), Ok(()), "{good}");
        }
        let bad = [
            "",
            "null",
            "1.0",
            "1e3",
            "-0",
            "01",
            "9007199254740992",
            "-9007199254740992",
            "{\"a\": 1}",
            "[1,]",
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#""\u0041""#,
            r#""\/""#,
            r#""\u000A""#,
            r#""\u001F""#,
            r#""\u000a""#,
            r#""\u0008""#,
            "\"\n\"",
            "[1][2]",
            "{\"é\":1}",
            "tru",
            "\"a",
        ];
        for bad in bad {
            assert!(check_canonical(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

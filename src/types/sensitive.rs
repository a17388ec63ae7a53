//! A wrapper whose `Debug` hides what it holds.

use std::fmt;

/// Holds a credential or personal datum; neither `Debug` nor `Display` shows it, `expose` does.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Sensitive(value)
    }

    /// The value; every call is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn debug_hides() {
        assert_eq!(format!("{:?}", super::Sensitive::new("hunter2")), "[hidden]");
    }
}

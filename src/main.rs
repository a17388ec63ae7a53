//! The `sealgate` binary.

fn main() {}

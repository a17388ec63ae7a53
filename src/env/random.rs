//! Randomness from the operating system, by way of aws-lc-rs.

/// `N` random bytes.
///
/// # Panics
/// When the operating system gives no randomness: nothing the gateway does is safe then.
#[expect(clippy::expect_used, reason = "without randomness no key, salt or identifier may be made")]
pub fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// `2 * N` lower-case hex digits of `N` random bytes.
pub fn random_hex<const N: usize>() -> String {
    random_array::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What `sealgate policy …` and the cases of `sealgate check` print: pure functions from results to text.

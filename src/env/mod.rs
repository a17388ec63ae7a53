//! The outside world the gateway depends on: clocks, randomness, and files with their faults.
//!
//! Everything time-dependent or random goes through here, so a test can hold the clock still or replay a
//! fault schedule from a seed. No other module reads the system clock (`clippy.toml` bans it).

mod clock;
mod disk;
mod disk_faulty;
mod random;

pub use clock::{Clock, Stopwatch};
pub use disk::{Disk, DiskFile, RealDisk};
pub use disk_faulty::{Fault, FaultyDisk, Loss, Step};
pub use random::{random_array, random_hex};

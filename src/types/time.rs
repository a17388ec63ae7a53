//! Record time: microseconds since the Unix epoch, spelled as RFC 3339 UTC with six fraction digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A UTC instant in whole microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, zero before it (for UUIDv7).
    pub const fn unix_millis(self) -> u64 {
        if self.0 < 0 { 0 } else { (self.0 / 1000) as u64 }
    }

    /// This instant plus whole days.
    pub const fn plus_days(self, days: u32) -> Self {
        Timestamp(self.0.saturating_add(days as i64 * 86_400_000_000))
    }

    /// The UTC day, as days since the epoch.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }

    /// The UTC month as `YYYY-MM`.
    pub fn month(self) -> String {
        self.to_string()[..7].to_owned()
    }

    /// Hour of the UTC day, 0 to 23.
    pub const fn hour(self) -> u8 {
        (self.0.rem_euclid(86_400_000_000) / 3_600_000_000) as u8
    }

    /// Day of the week, Monday 1 to Sunday 7 (ISO 8601).
    pub const fn weekday(self) -> u8 {
        ((self.day() + 3).rem_euclid(7) + 1) as u8
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.day());
        let in_day = self.0.rem_euclid(86_400_000_000);
        let (secs, micros) = (in_day / 1_000_000, in_day % 1_000_000);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = String;
    /// Reads any RFC 3339 instant, a date (`2026-11-22`: its first instant) or a month or year.
    fn from_str(text: &str) -> Result<Self, String> {
        let full = match text.len() {
            4 => format!("{text}-01-01T00:00:00Z"),
            7 => format!("{text}-01T00:00:00Z"),
            10 => format!("{text}T00:00:00Z"),
            _ => text.to_owned(),
        };
        full.parse::<jiff::Timestamp>()
            .map(|t| Timestamp(t.as_microsecond()))
            .map_err(|_| "not an RFC 3339 time such as `2026-11-22T08:00:00Z` or `2026-11-22`".to_owned())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Days since the epoch to a proleptic Gregorian date (era arithmetic over 400-year cycles).
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled_with_six_digits_and_read_back() {
        for text in ["2026-11-22T03:50:32.000007Z", "2024-02-29T23:59:59.999999Z", "1970-01-01T00:00:00.000000Z"] {
            assert_eq!(text.parse::<Timestamp>().map(|t| t.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("2026-11-22".parse::<Timestamp>().map(|t| t.weekday()), Ok(7));
        assert_eq!("2026-11".parse::<Timestamp>().map(|t| t.month()), Ok("2026-11".to_owned()));
    }
}

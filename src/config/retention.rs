//! Retention presets: names, days, and where the figure comes from.

/// One preset.
#[derive(Debug, PartialEq, Eq)]
pub struct RetentionPreset {
    /// Name in the configuration and in heads.
    pub name: &'static str,
    /// Days records are kept.
    pub days: u32,
    /// Where the figure comes from.
    pub source: &'static str,
}

/// Every preset. The longest that applies should be chosen for a route.
pub const RETENTION: &[RetentionPreset] = &[
    RetentionPreset { name: "min", days: 183, source: "EU AI Act Articles 19(1) and 26(6): at least six months" },
    RetentionPreset {
        name: "aiact",
        days: 396,
        source: "EU AI Act Articles 19(1) and 26(6), and one month over a year so that a yearly audit sees a full period",
    },
    RetentionPreset { name: "pci", days: 365, source: "PCI DSS 4.0.1 requirement 10.5.1: 12 months" },
    RetentionPreset { name: "soc2", days: 549, source: "SOC 2 Type II: the period and the time to report on it" },
    RetentionPreset { name: "iso", days: 1096, source: "ISO/IEC 27001: one certification cycle of three years" },
    RetentionPreset { name: "hipaa", days: 2192, source: "HIPAA 164.316(b)(2)(i): six years" },
];

/// The preset of that name.
pub(super) fn preset(name: &str) -> Option<&'static RetentionPreset> {
    RETENTION.iter().find(|preset| preset.name == name)
}

/// The default preset.
pub(super) const DEFAULT: &RetentionPreset = &RETENTION[1];

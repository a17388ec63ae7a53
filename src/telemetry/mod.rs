//! Metric handles, in one struct, registered once.
//!
//! Invariant: no label takes a value that a caller or vendor chooses; routes, vendors, classes and reasons come
//! from configuration, packs and closed lists. Names are fixed by DESIGN section 6.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Every metric of the gateway. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by route, vendor and outcome (`allowed`, `redacted`, `tokenized`, `denied`, `unrecorded`).
    pub requests: IntCounterVec,
    /// The gateway's own time per request, in seconds (total less the vendor's share).
    pub overhead: Histogram,
    /// Time per phase (`identify`, `read`, `scan`, `decide`, `record`, `upstream`), in seconds.
    pub phase: HistogramVec,
    /// Findings by class, direction and what was done (`redacted`, `denied`, `passed`, …).
    pub findings: IntCounterVec,
    /// How long a stream event was held back, in seconds.
    pub stream_hold: Histogram,
    /// From a record's submission to its durability, in seconds.
    pub ledger_commit: Histogram,
    /// Records in the log.
    pub ledger_size: IntGauge,
    /// 1 once a write or sync failed.
    pub ledger_poisoned: IntGauge,
    /// Requests refused while the ledger could not write.
    pub unrecorded_refusals: IntCounter,
    /// Administrative reads while the ledger could not write.
    pub unrecorded_reads: IntCounter,
    /// Requests whose heads could not be parsed, and unauthenticated ones above the recorded rate.
    pub refusals_counted: IntCounterVec,
    /// Records in the log that the index does not hold yet.
    pub index_lag: IntGauge,
    /// 1 for the active policy.
    pub policy_info: IntGaugeVec,
    /// Free bytes on the disk of the log.
    pub store_free_bytes: IntGauge,
    /// Requests whose decision has no completion yet.
    pub open_requests: IntGauge,
}

impl Metrics {
    /// Registers every metric in a registry of its own.
    ///
    /// # Errors
    /// When two metrics share a name: a programming error, found by the first test that starts anything.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = Build { registry: &registry };
        Ok(Metrics {
            requests: build.counters(
                "sealgate_requests_total",
                "Requests by route, vendor and outcome.",
                &["route", "vendor", "outcome"],
            )?,
            overhead: build.seconds("sealgate_overhead_seconds", "The gateway's own time per request.")?,
            phase: build.seconds_by("sealgate_phase_seconds", "Time per phase of a request.", &["phase"])?,
            findings: build.counters(
                "sealgate_findings_total",
                "Findings by class, direction and action.",
                &["class", "direction", "action"],
            )?,
            stream_hold: build.seconds("sealgate_stream_hold_seconds", "How long stream events were held back.")?,
            ledger_commit: build
                .seconds("sealgate_ledger_commit_seconds", "From submission of a record to its durability.")?,
            ledger_size: build.gauge("sealgate_ledger_size", "Records in the log.")?,
            ledger_poisoned: build.gauge("sealgate_ledger_poisoned", "1 once a write or sync of the log failed.")?,
            unrecorded_refusals: build
                .counter("sealgate_unrecorded_refusals_total", "Requests refused while the ledger could not write.")?,
            unrecorded_reads: build
                .counter("sealgate_unrecorded_reads_total", "Reads of records while the ledger could not write.")?,
            refusals_counted: build.counters(
                "sealgate_refusals_counted_total",
                "Refusals recorded as counts instead of one by one.",
                &["reason"],
            )?,
            index_lag: build
                .gauge("sealgate_index_lag_records", "Records in the log that the index does not hold yet.")?,
            policy_info: build.gauges(
                "sealgate_policy_info",
                "The active policy bundle.",
                &["name", "version", "digest"],
            )?,
            store_free_bytes: build.gauge("sealgate_store_free_bytes", "Free bytes on the disk of the log.")?,
            open_requests: build.gauge("sealgate_open_requests", "Requests with a decision and no completion yet.")?,
            registry,
        })
    }

    /// The Prometheus text exposition (format 0.0.4).
    pub fn render(&self) -> String {
        let mut buffer = Vec::new();
        if TextEncoder::new().encode(&self.registry.gather(), &mut buffer).is_err() {
            buffer.clear();
        }
        String::from_utf8(buffer).unwrap_or_default()
    }
}

struct Build<'r> {
    registry: &'r Registry,
}

impl Build<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn seconds(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS_SECONDS.to_vec()))?)
    }

    fn seconds_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS_SECONDS.to_vec()), labels)?)
    }
}

/// 10 µs to 30 s, about three steps a decade.
const BUCKETS_SECONDS: [f64; 19] = [
    0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0,
    20.0, 30.0,
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_registers_once_and_renders() {
        let metrics = super::Metrics::new().expect("names differ");
        metrics.ledger_size.set(3);
        assert!(metrics.render().contains("sealgate_ledger_size 3"));
    }
}

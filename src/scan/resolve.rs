//! Where findings overlap one stays: the likeliest, then the validated, then the longest, then the first in the packs.
//!
//! Local by construction: findings that overlap, directly or through others, form a cluster, and clusters do not
//! know each other. So a stream may report a cluster as soon as nothing more can join it.

use std::collections::BTreeMap;

use super::engine::Hit;

/// Splits `hits` at `cut`, before which everything is decided: leaves in `hits` the final findings in order, and returns
/// where the next sweep must begin.
pub(super) fn settle(hits: &mut Vec<Hit>, cut: usize, is_final: bool) -> usize {
    if hits.is_empty() {
        return cut;
    }
    hits.sort_by_key(|h| (h.start, h.end, h.detector));
    let clusters = clusters(hits);
    let mut release = cut;
    if !is_final {
        for open in clusters.iter().rev() {
            if open.end > release {
                release = release.min(open.origin);
            }
        }
    }
    let mut kept = Vec::new();
    for cluster in clusters.iter().filter(|c| is_final || c.end <= release) {
        keep_best(hits.get(cluster.first..cluster.last).unwrap_or_default(), &mut kept);
    }
    *hits = kept;
    release
}

/// Findings that hang together.
struct Cluster {
    first: usize,
    last: usize,
    origin: usize,
    end: usize,
}

fn clusters(hits: &[Hit]) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (i, hit) in hits.iter().enumerate() {
        match clusters.last_mut() {
            Some(cluster) if hit.start < cluster.end => {
                cluster.last = i + 1;
                cluster.end = cluster.end.max(hit.end);
                cluster.origin = cluster.origin.min(hit.origin);
            }
            _ => clusters.push(Cluster { first: i, last: i + 1, origin: hit.origin, end: hit.end }),
        }
    }
    clusters
}

fn keep_best(cluster: &[Hit], kept: &mut Vec<Hit>) {
    let mut ranked: Vec<&Hit> = cluster.iter().collect();
    let rank = |h: &Hit| (h.likelihood, h.validated, h.end - h.start);
    ranked.sort_by(|a, b| rank(b).cmp(&rank(a)).then(a.detector.cmp(&b.detector)).then(a.start.cmp(&b.start)));
    let mut taken: BTreeMap<usize, Hit> = BTreeMap::new();
    for hit in ranked {
        let before = taken.range(..hit.end).next_back();
        if before.is_none_or(|(_, k)| k.end <= hit.start) {
            taken.insert(hit.start, *hit);
        }
    }
    kept.extend(taken.into_values());
}

//! The Merkle tree of RFC 6962 section 2.1, as the frontier a log needs to grow: the roots of its complete subtrees.

use aws_lc_rs::digest::{Context, SHA256};

use crate::types::Digest;

/// Hash of two subtrees: SHA-256(0x01, left, right).
fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// The right edge of a tree: at most 64 digests, however large the log. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    len: u64,
    /// Roots of the complete subtrees, largest first: one for each set bit of `len`.
    subtrees: Vec<Digest>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one leaf hash.
    pub fn append(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // Each trailing one bit of the length is a subtree that the new leaf completes.
        for _ in 0..self.len.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node(&left, &hash);
            }
        }
        self.subtrees.push(hash);
        self.len += 1;
    }

    /// Number of leaves.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no leaf yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The root; SHA-256 of nothing for the empty tree.
    pub fn root(&self) -> Digest {
        let mut from_right = self.subtrees.iter().rev();
        let Some(last) = from_right.next() else { return empty_root() };
        from_right.fold(*last, |hash, left| node(left, &hash))
    }
}

/// The root over leaf hashes.
pub fn root_of(leaves: impl IntoIterator<Item = Digest>) -> Digest {
    let mut frontier = Frontier::new();
    leaves.into_iter().for_each(|leaf| frontier.append(leaf));
    frontier.root()
}

fn empty_root() -> Digest {
    let mut out = [0u8; 32];
    for (slot, byte) in out.iter_mut().zip(Context::new(&SHA256).finish().as_ref()) {
        *slot = *byte;
    }
    Digest(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962's recursive definition.
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(&defined(&many[..split]), &defined(&many[split..]))
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_up_to_130_leaves() {
        let leaves: Vec<Digest> = (0u8..130).map(|n| Digest::of_parts(&[&[0], &[n]])).collect();
        let mut frontier = Frontier::new();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), defined(&leaves[..size]), "{size}");
            assert_eq!(frontier.len(), size as u64);
            frontier.append(leaves[size]);
        }
    }

    #[test]
    fn known_root_of_the_certificate_transparency_vectors() {
        // The eight leaves of the published CT test vectors, and their root.
        let leaves =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let leaves = leaves.map(|text| {
            let raw: Vec<u8> =
                (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect();
            Digest::of_parts(&[&[0], &raw])
        });
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        assert_eq!(root_of(leaves).to_string(), root);
    }
}

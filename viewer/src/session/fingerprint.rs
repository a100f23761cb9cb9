//! Tells whether a CT is the one that edits belong to: SHA-256 of its grid and its voxels.
//!
//! Hashing a whole-body CT takes a second, so the worker does it piece by piece while it opens one, and a user may give up
//! between two of them.

use std::sync::Arc;

use attention_anatomy::volume::CtVolume;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use web_time::{Duration, Instant};

/// The CT that something belongs to. Says nothing of the patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtKey {
    /// SHA-256 of canonical grid and voxels, hexadecimal.
    pub sha256: String,
    /// Voxels along i, j, k.
    pub size: [usize; 3],
}

impl CtKey {
    /// Of a CT, at once.
    #[cfg(test)]
    pub(crate) fn of(ct: &Arc<CtVolume>) -> Self {
        let mut hashing = Hashing::new(ct.clone());
        loop {
            if let Some(key) = hashing.advance(Duration::MAX) {
                return key;
            }
        }
    }
}

/// Voxels between two looks at the clock.
const PIECE: usize = 1 << 19;

/// A CT that is being hashed.
#[derive(Clone, Debug)]
pub struct Hashing {
    ct: Arc<CtVolume>,
    sha: Sha256,
    done: usize,
}

impl Hashing {
    /// Nothing of the CT is hashed yet.
    pub fn new(ct: Arc<CtVolume>) -> Self {
        let mut sha = Sha256::new();
        for n in ct.geometry.size {
            sha.update((n as u64).to_le_bytes());
        }
        for v in ct.geometry.affine.iter().flatten() {
            // Plus zero, so that minus zero is the same grid.
            sha.update((v + 0.0).to_le_bytes());
        }
        Self { ct, sha, done: 0 }
    }

    /// Share of the voxels that are hashed, 0 to 1.
    pub fn part(&self) -> f32 {
        self.done as f32 / self.ct.voxels.len().max(1) as f32
    }

    /// Goes on for about so long; the key once all is done.
    pub fn advance(&mut self, time: Duration) -> Option<CtKey> {
        let began = Instant::now();
        let mut bytes = Vec::with_capacity(2 * PIECE);
        while self.done < self.ct.voxels.len() {
            let end = (self.done + PIECE).min(self.ct.voxels.len());
            bytes.clear();
            bytes.extend(self.ct.voxels[self.done..end].iter().flat_map(|v| v.to_le_bytes()));
            self.sha.update(&bytes);
            self.done = end;
            if began.elapsed() >= time {
                return None;
            }
        }
        let sha256 = self.sha.clone().finalize().iter().map(|b| format!("{b:02x}")).collect();
        Some(CtKey { sha256, size: self.ct.geometry.size })
    }
}

#[cfg(test)]
mod tests {
    use attention_anatomy::volume::{Geometry, Modality};

    use super::*;

    fn ct(origin: f64, change: Option<usize>) -> Arc<CtVolume> {
        let geometry = Geometry::axial([300, 200, 10], [1.0, 1.0, 2.0], [origin, 0.0, 0.0]).unwrap();
        let mut voxels: Vec<i16> = (0..geometry.voxel_count()).map(|n| (n % 3001) as i16 - 1000).collect();
        if let Some(n) = change {
            voxels[n] += 1;
        }
        Arc::new(CtVolume::from_stored(geometry, voxels, Modality::Ct).unwrap())
    }

    #[test]
    fn one_voxel_or_a_shifted_grid_is_another_ct_and_pieces_do_not_matter() {
        let key = CtKey::of(&ct(0.0, None));
        assert_eq!(key, CtKey::of(&ct(-0.0, None)));
        assert_ne!(key, CtKey::of(&ct(0.0, Some(599_999))));
        assert_ne!(key, CtKey::of(&ct(0.001, None)));
        let mut slowly = Hashing::new(ct(0.0, None));
        let mut frames = 1;
        let found = loop {
            match slowly.advance(Duration::ZERO) {
                Some(found) => break found,
                None => frames += 1,
            }
        };
        assert_eq!((found, frames), (key, 3));
    }
}

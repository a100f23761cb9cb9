//! How sure the network is of every voxel, packed: nearly all of it is 255, and a byte for each voxel of a large CT would take as much as its
//! labels do.

use std::sync::atomic::{AtomicU64, Ordering};

/// Margins by axial slice, `[ny, nx]` each, with a revision for every slice, as [`crate::edit::ByteLayer`] has them.
#[derive(Debug)]
pub struct Margins {
    id: u64,
    size: [usize; 3],
    /// Packed; `None` where all is 255.
    slices: Vec<Option<Box<[u8]>>>,
    revisions: Vec<u64>,
    last: u64,
}

/// Equal bytes, or different ones, that stand together at most.
const MOST: usize = 128;
/// Fewer equal ones are no shorter by themselves.
const LEAST: usize = 3;

impl Margins {
    /// 255 everywhere.
    pub fn new(size: [usize; 3]) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        Self { id, size, slices: vec![None; size[2]], revisions: vec![0; size[2]], last: 0 }
    }

    /// Tells these from every other ones.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Revision of every slice; 0 for one that was never set.
    pub fn revisions(&self) -> &[u64] {
        &self.revisions
    }

    /// Sets slice k, unless it is of another size: it counts as changed.
    pub fn set(&mut self, k: usize, margin: &[u8]) {
        if let (Some(slice), Some(revision)) = (self.slices.get_mut(k), self.revisions.get_mut(k))
            && margin.len() == self.size[0] * self.size[1]
        {
            self.last += 1;
            *revision = self.last;
            *slice = margin.iter().any(|&m| m != u8::MAX).then(|| packed(margin));
        }
    }

    /// Slice k, `[ny, nx]`; empty outside the volume.
    pub fn slice(&self, k: usize) -> Vec<u8> {
        let area = self.size[0] * self.size[1];
        match self.slices.get(k) {
            None => Vec::new(),
            Some(None) => vec![u8::MAX; area],
            Some(Some(packed)) => unpacked(packed, area),
        }
    }
}

/// `n` and `n + 1` different bytes, or `255 - n` and a byte that comes `n + 2` times: PackBits, as old as pictures.
fn packed(bytes: &[u8]) -> Box<[u8]> {
    let mut packed = Vec::new();
    let mut different: &[u8] = &[];
    let mut rest = bytes;
    let put = |packed: &mut Vec<u8>, different: &[u8]| {
        for some in different.chunks(MOST) {
            packed.push((some.len() - 1) as u8);
            packed.extend_from_slice(some);
        }
    };
    while let Some(&first) = rest.first() {
        let equal = rest.iter().take(MOST).take_while(|&&byte| byte == first).count();
        let (run, behind) = rest.split_at(equal);
        if equal >= LEAST {
            put(&mut packed, different);
            packed.extend([(257 - equal) as u8, first]);
            different = &behind[..0];
        } else {
            // Bytes before it end where it begins.
            let start = bytes.len() - rest.len() - different.len();
            different = &bytes[start..start + different.len() + run.len()];
        }
        rest = behind;
    }
    put(&mut packed, different);
    packed.into()
}

fn unpacked(packed: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count);
    let mut rest = packed;
    while let Some((&n, behind)) = rest.split_first() {
        let n = usize::from(n);
        if n < MOST {
            let (some, behind) = behind.split_at((n + 1).min(behind.len()));
            bytes.extend_from_slice(some);
            rest = behind;
        } else if let Some((&byte, behind)) = behind.split_first() {
            bytes.resize(bytes.len() + 257 - n, byte);
            rest = behind;
        } else {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again_and_takes_little() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut slices: Vec<Vec<u8>> =
            vec![vec![7], vec![1, 1], vec![2, 2, 3], vec![0, 1, 1, 1, 1, 2, 2], vec![9; 1000]];
        slices.push((0..1000).map(|_| random()).collect());
        slices.push((0..4096).map(|n| if n % 64 < 40 { 255 } else { (n % 64) as u8 }).collect());
        for length in 125..135 {
            slices.push([vec![4; length], (0..length).map(|n| n as u8).collect(), vec![4; 2 * length]].concat());
        }
        for slice in &slices {
            let packed = packed(slice);
            assert_eq!(&unpacked(&packed, slice.len()), slice);
            assert!(packed.len() <= slice.len() + slice.len().div_ceil(MOST), "{} of {}", packed.len(), slice.len());
        }
        assert_eq!((packed(&slices[4]).len(), packed(&slices[6]).len()), (16, 64 * (2 + 25)));
    }

    #[test]
    fn only_slices_that_were_set_have_a_revision_and_are_kept() {
        let mut margins = Margins::new([2, 2, 3]);
        assert_eq!((margins.slice(1), margins.slice(3)), (vec![255; 4], Vec::new()));
        margins.set(1, &[255, 0, 3, 4]);
        margins.set(2, &[255; 4]);
        margins.set(0, &[1; 3]);
        margins.set(3, &[1; 4]);
        assert_eq!(margins.revisions(), [0, 1, 2]);
        assert_eq!((margins.slice(1), margins.slice(2)), (vec![255, 0, 3, 4], vec![255; 4]));
        assert!(margins.slices[1].is_some() && margins.slices[2].is_none());
        assert_ne!(margins.id(), Margins::new([2, 2, 3]).id());
    }
}

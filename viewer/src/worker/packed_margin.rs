//! How sure the network is of every voxel of a slice, packed: nearly all of it is 255, and a byte for each voxel of a large CT would take as
//! much as its labels do. Unlike labels it has few runs around an organ, and many different bytes.

use serde::{Deserialize, Serialize};

use super::codec;

/// Margins `[ny, nx]`, 0 to 255 for 0 to 1, packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedMargin {
    len: usize,
    /// Nothing where all is 255.
    #[serde(with = "codec::bytes")]
    packed: Vec<u8>,
}

/// Equal bytes, or different ones, that stand together at most.
const MOST: usize = 128;
/// Fewer equal ones are no shorter by themselves.
const LEAST: usize = 3;

impl PackedMargin {
    /// Packs them.
    pub fn of(margin: &[u8]) -> Self {
        let sure = margin.iter().all(|&m| m == u8::MAX);
        Self { len: margin.len(), packed: if sure { Vec::new() } else { packed(margin) } }
    }

    /// Number of pixels.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no pixel.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Unpacked.
    pub fn to_vec(&self) -> Vec<u8> {
        if self.packed.is_empty() { vec![u8::MAX; self.len] } else { unpacked(&self.packed, self.len) }
    }
}

/// `n` and `n + 1` different bytes, or `255 - n` and a byte that comes `n + 2` times: PackBits, as old as pictures.
fn packed(bytes: &[u8]) -> Vec<u8> {
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
    packed.shrink_to_fit();
    packed
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
            assert_eq!(&PackedMargin::of(slice).to_vec(), slice);
            let packed = packed(slice);
            assert_eq!(&unpacked(&packed, slice.len()), slice);
            assert!(packed.len() <= slice.len() + slice.len().div_ceil(MOST), "{} of {}", packed.len(), slice.len());
        }
        assert_eq!((packed(&slices[4]).len(), packed(&slices[6]).len()), (16, 64 * (2 + 25)));
        let sure = PackedMargin::of(&[255; 300]);
        assert_eq!((sure.packed.len(), sure.to_vec()), (0, vec![255; 300]));
    }
}

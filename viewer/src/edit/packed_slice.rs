//! An axial slice of labels, packed as runs of equal ones: some kilobytes instead of a byte for each pixel. What the window shows, what
//! undo keeps and what goes to the worker are such slices; whoever works on one unpacks it.

use attention_anatomy::raster::label_runs;

/// Bytes `[ny, nx]`, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedSlice(Kept);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    /// Of every run of equal bytes the place after its last, and the byte. Neighbours differ.
    Runs { ends: Box<[u32]>, bytes: Box<[u8]> },
    /// As they are, where runs would take more.
    Plain(Box<[u8]>),
}

/// What a run takes.
const RUN: usize = 5;
/// Stands for the number of runs where there are none, on the wire.
const PLAIN: u32 = u32::MAX;

impl PackedSlice {
    /// Packs them.
    pub fn of(slice: &[u8]) -> Self {
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        let mut at = 0;
        label_runs(slice, |byte, start, end| {
            if start > at {
                ends.push(start as u32);
                bytes.push(0);
            }
            ends.push(end as u32);
            bytes.push(byte);
            at = end;
        });
        if at < slice.len() {
            ends.push(slice.len() as u32);
            bytes.push(0);
        }
        Self(match RUN * ends.len() > slice.len() {
            true => Kept::Plain(slice.into()),
            false => Kept::Runs { ends: ends.into(), bytes: bytes.into() },
        })
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Runs { ends, .. } => ends.last().map_or(0, |&end| end as usize),
            Kept::Plain(bytes) => bytes.len(),
        }
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                Kept::Runs { ends, .. } => RUN * ends.len(),
                Kept::Plain(bytes) => bytes.len(),
            }
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them; 0 outside.
    pub fn get(&self, n: usize) -> u8 {
        let byte = match &self.0 {
            Kept::Runs { ends, bytes } => bytes.get(ends.partition_point(|&end| end as usize <= n)),
            Kept::Plain(bytes) => bytes.get(n),
        };
        byte.copied().unwrap_or(0)
    }

    /// Whether all of them are this one.
    pub fn is_all(&self, byte: u8) -> bool {
        match &self.0 {
            Kept::Runs { bytes, .. } => bytes.iter().all(|&b| b == byte),
            Kept::Plain(bytes) => bytes.iter().all(|&b| b == byte),
        }
    }

    /// Unpacked, behind what is there.
    pub fn append_to(&self, to: &mut Vec<u8>) {
        match &self.0 {
            Kept::Runs { ends, bytes } => {
                let before = to.len();
                to.reserve(self.len());
                ends.iter().zip(bytes).for_each(|(&end, &byte)| to.resize(before + end as usize, byte));
            }
            Kept::Plain(bytes) => to.extend_from_slice(bytes),
        }
    }

    /// Unpacked.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut slice = Vec::new();
        self.append_to(&mut slice);
        slice
    }

    /// As it is posted: the number of runs, their ends, their bytes; or the bytes themselves.
    pub fn to_wire(&self) -> Vec<u8> {
        match &self.0 {
            Kept::Runs { ends, bytes } => {
                let number = ends.len() as u32;
                let numbers = std::iter::once(&number).chain(ends).flat_map(|n| n.to_le_bytes());
                numbers.chain(bytes.iter().copied()).collect()
            }
            Kept::Plain(bytes) => PLAIN.to_le_bytes().into_iter().chain(bytes.iter().copied()).collect(),
        }
    }

    /// What was posted; `None` where it is nothing of the kind.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let (number, rest) = wire.split_first_chunk::<4>()?;
        let number = u32::from_le_bytes(*number);
        if number == PLAIN {
            return Some(Self(Kept::Plain(rest.into())));
        }
        let (ends, bytes) = rest.split_at_checked(4 * number as usize)?;
        let ends: Box<[u32]> = ends.as_chunks().0.iter().map(|end| u32::from_le_bytes(*end)).collect();
        let right = ends.first() != Some(&0) && ends.is_sorted_by(|a, b| a < b) && bytes.len() == ends.len();
        right.then(|| Self(Kept::Runs { ends, bytes: bytes.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again_byte_by_byte_and_over_the_wire() {
        let mut noise = 1u32;
        let mut random = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        };
        let organs: Vec<u8> = (0..4096).map(|n| if n % 64 < 40 { (n / 640) as u8 } else { 0 }).collect();
        let slices =
            [vec![], vec![0], vec![7; 3], vec![0; 1000], vec![255; 1000], (0..300).map(|_| random()).collect(), organs];
        for slice in slices {
            let packed = PackedSlice::of(&slice);
            assert_eq!(
                (packed.to_vec(), packed.len(), packed.is_empty()),
                (slice.clone(), slice.len(), slice.is_empty())
            );
            assert!((0..slice.len()).all(|n| packed.get(n) == slice[n]) && packed.get(slice.len()) == 0);
            assert_eq!([0, 255].map(|b| packed.is_all(b)), [0, 255].map(|b| slice.iter().all(|&s| s == b)));
            assert_eq!(PackedSlice::from_wire(&packed.to_wire()).as_ref(), Some(&packed));
            assert!(packed.to_wire().len() <= 4 + slice.len().max(RUN));
        }
        let mut two = vec![1];
        PackedSlice::of(&[5; 20]).append_to(&mut two);
        assert_eq!(two, [vec![1], vec![5; 20]].concat());
        assert_eq!(PackedSlice::of(&[9; 4096]).to_wire().len(), 4 + RUN);
    }

    #[test]
    fn what_was_never_packed_is_refused() {
        let wire = |number: u32, ends: &[u32], bytes: &[u8]| {
            let numbers = std::iter::once(&number).chain(ends).flat_map(|n| n.to_le_bytes());
            PackedSlice::from_wire(&numbers.chain(bytes.iter().copied()).collect::<Vec<u8>>())
        };
        assert_eq!(wire(2, &[3, 5], &[1, 2]).map(|s| s.to_vec()), Some(vec![1, 1, 1, 2, 2]));
        assert_eq!(wire(2, &[3], &[]), None);
        assert_eq!(wire(2, &[5, 3], &[1, 2]), None);
        assert_eq!(wire(1, &[0], &[1]), None);
        assert_eq!(wire(1, &[3], &[1, 2]), None);
        assert_eq!(PackedSlice::from_wire(&[1, 0]), None);
    }
}

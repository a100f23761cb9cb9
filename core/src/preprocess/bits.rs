//! Cells of a volume, a bit each: rows of whole words, so that rows are put together and neighbours are asked a word at a time.

use std::ops::Range;

const WORD: usize = u64::BITS as usize;

/// A set of cells of a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    size: [usize; 3],
    /// Words of a row. The bits of the last one that stand for no cell are 0.
    words: usize,
    bits: Vec<u64>,
}

impl Bits {
    /// None of the cells.
    pub fn new(size: [usize; 3]) -> Self {
        let words = size[0].div_ceil(WORD);
        Self { size, words, bits: vec![0; words * size[1] * size[2]] }
    }

    /// Of slices of the same size, from the first on.
    pub fn of_slices(size: [usize; 3], slices: Vec<Self>) -> Self {
        let bits = slices.into_iter().flat_map(|slice| slice.bits).collect();
        Self { size, words: size[0].div_ceil(WORD), bits }
    }

    /// Cells along each axis.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Whether a cell belongs to it; false outside the grid.
    pub fn get(&self, [x, y, z]: [usize; 3]) -> bool {
        let within = x < self.size[0] && y < self.size[1] && z < self.size[2];
        within && self.words_of(y, z)[x / WORD] >> (x % WORD) & 1 == 1
    }

    fn words_of(&self, y: usize, z: usize) -> &[u64] {
        let start = self.words * (y + self.size[1] * z);
        &self.bits[start..start + self.words]
    }

    /// Adds the cells of a row for which `is` is true.
    pub fn fill_row(&mut self, y: usize, z: usize, is: impl Fn(usize) -> bool) {
        let (start, width) = (self.words * (y + self.size[1] * z), self.size[0]);
        for (n, word) in self.bits[start..start + self.words].iter_mut().enumerate() {
            let cells = n * WORD..((n + 1) * WORD).min(width);
            *word |= cells.enumerate().fold(0, |word, (bit, x)| word | u64::from(is(x)) << bit);
        }
    }

    /// Adds some neighbouring cells of a row.
    pub fn set_run(&mut self, y: usize, z: usize, run: Range<usize>) {
        let start = self.words * (y + self.size[1] * z);
        for (n, word) in self.bits[start..start + self.words].iter_mut().enumerate() {
            let [from, to] = [run.start, run.end].map(|x| x.clamp(n * WORD, (n + 1) * WORD) - n * WORD);
            *word |= below(to) & !below(from);
        }
    }

    /// The cells of a row, as ranges.
    pub fn runs(&self, y: usize, z: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let (words, width) = (self.words_of(y, z), self.size[0]);
        // The first cell from `x` on that belongs to it or does not.
        let next = move |x: usize, belongs: bool| {
            let mut word = x / WORD;
            let mut skipped = below(x % WORD);
            while let Some(&bits) = words.get(word) {
                let wanted = if belongs { bits } else { !bits } & !skipped;
                if wanted != 0 {
                    return (word * WORD + wanted.trailing_zeros() as usize).min(width);
                }
                (word, skipped) = (word + 1, 0);
            }
            width
        };
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = next(at, true);
            at = next(start, false);
            (start < width).then_some(start..at)
        })
    }

    /// Only cells stay that `other` has, too.
    pub fn keep_of(&mut self, other: &Self) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(own, other)| *own &= other);
    }

    /// Only cells stay whose neighbours within the slice belong to it, as far as there are any and so far along x and y.
    pub fn erode(&mut self, reach: [usize; 2]) {
        self.combine(reach, u64::MAX, |own, neighbours| own & neighbours);
    }

    /// Adds the neighbours within the slice, so far along x and y.
    pub fn dilate(&mut self, reach: [usize; 2]) {
        self.combine(reach, 0, |own, neighbours| own | neighbours);
    }

    /// Puts each cell together with its neighbours, along x, then along y; `beyond` stands for those that there are not.
    fn combine(&mut self, [across, down]: [usize; 2], beyond: u64, with: impl Fn(u64, u64) -> u64) {
        let (words, height) = (self.words, self.size[1]);
        if words == 0 || height == 0 {
            return;
        }
        let of_grid = below(self.size[0] - (words - 1) * WORD);
        let mut copy = vec![0; words * height];
        for slice in self.bits.chunks_exact_mut(words * height) {
            for row in slice.chunks_exact_mut(words) {
                row[words - 1] |= beyond & !of_grid;
                copy[..words].copy_from_slice(row);
                let word = |n: Option<usize>| n.and_then(|n| copy[..words].get(n)).copied().unwrap_or(beyond);
                for (n, own) in row.iter_mut().enumerate() {
                    for reach in 1..=across.min(WORD - 1) {
                        let [previous, here, next] = [word(n.checked_sub(1)), word(Some(n)), word(Some(n + 1))];
                        let upper = here >> reach | next << (WORD - reach);
                        let lower = here << reach | previous >> (WORD - reach);
                        *own = with(with(*own, upper), lower);
                    }
                }
                row[words - 1] &= of_grid;
            }
            copy.copy_from_slice(slice);
            for (y, row) in slice.chunks_exact_mut(words).enumerate() {
                let near = (y.saturating_sub(down)..(y + down + 1).min(height)).filter(|&other| other != y);
                for other in near {
                    let other = &copy[other * words..(other + 1) * words];
                    row.iter_mut().zip(other).for_each(|(own, &other)| *own = with(*own, other));
                }
            }
        }
    }
}

/// A word with so many bits, from the lowest one on.
fn below(bits: usize) -> u64 {
    if bits >= WORD { u64::MAX } else { (1 << bits) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_neighbours_and_runs_are_those_of_a_list_of_cells() {
        for width in [1, 2, 63, 64, 65, 130, 192] {
            let size = [width, 5, 2];
            let count = width * 10;
            let mut noise = 7u32;
            let cells: Vec<bool> = (0..count)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    noise >> 28 != 0
                })
                .collect();
            let at = |x: usize, y: usize, z: usize| cells[x + width * (y + 5 * z)];
            let mut bits = Bits::new(size);
            (0..10).for_each(|row| bits.fill_row(row % 5, row / 5, |x| at(x, row % 5, row / 5)));
            let listed = |bits: &Bits| -> Vec<bool> {
                (0..count).map(|n| bits.get([n % width, n / width % 5, n / (width * 5)])).collect()
            };
            assert_eq!(listed(&bits), cells);
            assert!(!bits.get([width, 0, 0]) && !bits.get([0, 5, 0]) && !bits.get([0, 0, 2]));
            for reach in [[2, 2], [1, 0], [0, 1], [3, 1]] {
                let near = |n: usize| {
                    let (x, y, z) = (n % width, n / width % 5, n / (width * 5));
                    let columns = x.saturating_sub(reach[0])..=(x + reach[0]).min(width - 1);
                    let rows = y.saturating_sub(reach[1])..=(y + reach[1]).min(4);
                    rows.flat_map(move |v| columns.clone().map(move |u| (u, v, z)))
                };
                let (mut less, mut more) = (bits.clone(), bits.clone());
                less.erode(reach);
                more.dilate(reach);
                let all: Vec<bool> = (0..count).map(|n| near(n).all(|(x, y, z)| at(x, y, z))).collect();
                let any: Vec<bool> = (0..count).map(|n| near(n).any(|(x, y, z)| at(x, y, z))).collect();
                assert_eq!((listed(&less), listed(&more)), (all, any), "{width} {reach:?}");
            }
            let mut again = Bits::new(size);
            for row in 0..10 {
                let runs: Vec<Range<usize>> = bits.runs(row % 5, row / 5).collect();
                assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start), "{runs:?}");
                runs.into_iter().for_each(|run| again.set_run(row % 5, row / 5, run));
            }
            assert_eq!(again, bits);
        }
    }
}

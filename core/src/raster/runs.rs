//! Runs of one label in a row: of a label map most rows have none, and the others few.

/// Calls `each` for every run of one label but 0 in a row of labels: the label, the run's first place and the one after its last.
pub fn label_runs(row: &[u8], mut each: impl FnMut(u8, usize, usize)) {
    let mut at = 0;
    while let Some(start) = first_other(row, at, 0) {
        let label = row[start];
        let end = first_other(row, start, label).unwrap_or(row.len());
        each(label, start, end);
        at = end;
    }
}

/// The first place from `from` on that has no label.
pub(super) fn first_empty(row: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match row.get(at)? {
            0 => return Some(at),
            label => at = first_other(row, at, *label)?,
        }
    }
}

/// The first place from `from` on that has another label; eight of them are looked at together.
pub(super) fn first_other(row: &[u8], from: usize, label: u8) -> Option<usize> {
    let same = u64::from_le_bytes([label; 8]);
    let (words, rest) = row.get(from..)?.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let other = u64::from_le_bytes(*word) ^ same;
        if other != 0 {
            return Some(from + 8 * n + other.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&other| other != label).map(|n| from + 8 * words.len() + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_those_of_a_walk_from_label_to_label() {
        let mut noise = 1u32;
        for length in [0, 1, 7, 8, 9, 33, 200] {
            for sparse in [1, 3, 40] {
                let row: Vec<u8> = (0..length)
                    .map(|n| {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        // Long runs and short ones, and blocks of nothing.
                        if n / 7 % sparse == 0 { (noise >> 24) as u8 % 3 } else { 0 }
                    })
                    .collect();
                let mut runs = Vec::new();
                label_runs(&row, |label, start, end| runs.push((label, start, end)));
                let mut walked: Vec<(u8, usize, usize)> = Vec::new();
                for (n, &label) in row.iter().enumerate().filter(|(_, label)| **label != 0) {
                    match walked.last_mut() {
                        Some(last) if last.0 == label && last.2 == n => last.2 += 1,
                        _ => walked.push((label, n, n + 1)),
                    }
                }
                assert_eq!(runs, walked);
            }
        }
    }
}

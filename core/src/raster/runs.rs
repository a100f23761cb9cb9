//! Runs of one label in a row: of a label map most rows have none, and the others few.

/// Labels that are looked at together: as many as fit into some vectors.
const BLOCK: usize = 32;

/// Calls `each` for every run of one label but 0 in a row of labels: the label, the run's first place and the one after its last.
pub fn label_runs(row: &[u8], mut each: impl FnMut(u8, usize, usize)) {
    if is_empty(row) {
        return;
    }
    let mut at = 0;
    while let Some(&label) = row.get(at) {
        if label != 0 {
            let end = row[at..].iter().position(|&other| other != label).map_or(row.len(), |n| at + n);
            each(label, at, end);
            at = end;
            continue;
        }
        at += match row.get(at..at + BLOCK) {
            Some(block) if is_empty(block) => BLOCK,
            _ => 1,
        };
    }
}

/// Whether there is no label: in vectors, which stop at nothing.
fn is_empty(labels: &[u8]) -> bool {
    labels.iter().fold(0, |all, label| all | label) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_those_of_a_walk_from_label_to_label() {
        let mut noise = 1u32;
        for length in [0, 1, 31, 32, 33, 200] {
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

//! Connected components of runs: a shape has hundreds of times fewer runs than voxels.

use std::ops::Range;

/// Which of some numbered things belong together: a forest whose roots are the first of their groups.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    parent: Vec<usize>,
    weight: Vec<usize>,
}

/// The runs of a row of a grid, in order, and the number that the first of them has in a [`Groups`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Of the first run.
    pub number: usize,
    /// First cell and the one after the last.
    pub runs: &'a [[u32; 2]],
}

impl Groups {
    /// Adds a group of one thing; things are numbered in the order in which they come.
    pub fn add(&mut self, weight: usize) {
        self.parent.push(self.parent.len());
        self.weight.push(weight);
    }

    /// The first thing of the group of thing `n`; shortens the way there.
    ///
    /// # Panics
    /// When there is no thing `n`.
    pub fn root(&mut self, mut n: usize) -> usize {
        while self.parent[n] != n {
            self.parent[n] = self.parent[self.parent[n]];
            n = self.parent[n];
        }
        n
    }

    /// Makes the groups of two things one.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            let (root, child) = (a.min(b), a.max(b));
            self.parent[child] = root;
            self.weight[root] += self.weight[child];
        }
    }

    /// Joins the runs of two neighbouring rows that share a column, or also those that touch by a corner.
    pub fn join_rows(&mut self, a: Row<'_>, b: Row<'_>, corners: bool) {
        let [mut m, mut n]: [Range<usize>; 2] = [a, b].map(|row| 0..row.runs.len());
        let reach = u32::from(corners);
        while !m.is_empty() && !n.is_empty() {
            let (p, q) = (a.runs[m.start], b.runs[n.start]);
            if p[0] < q[1] + reach && q[0] < p[1] + reach {
                self.join(a.number + m.start, b.number + n.start);
            }
            if p[1] < q[1] {
                m.start += 1;
            } else {
                n.start += 1;
            }
        }
    }

    /// The sum of the weights of the group that begins with thing `root`.
    pub fn weight(&self, root: usize) -> usize {
        self.weight[root]
    }

    /// The first thing of the heaviest group, of several the first; `None` of nothing.
    pub fn heaviest(&self) -> Option<usize> {
        let roots = (0..self.parent.len()).filter(|&n| self.parent[n] == n);
        roots.max_by_key(|&n| (self.weight[n], std::cmp::Reverse(n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_join_by_a_shared_column_and_by_corners_where_asked() {
        let (upper, lower) = ([[0, 2], [4, 6], [9, 10]], [[2, 4], [5, 7], [10, 12]]);
        let groups = |corners: bool| {
            let mut groups = Groups::default();
            for [first, end] in upper.iter().chain(&lower) {
                groups.add((end - first) as usize);
            }
            groups.join_rows(Row { number: 0, runs: &upper }, Row { number: 3, runs: &lower }, corners);
            let roots: Vec<usize> = (0..6).map(|n| groups.root(n)).collect();
            (roots, groups.heaviest().map(|root| groups.weight(root)))
        };
        assert_eq!(groups(false), (vec![0, 1, 2, 3, 1, 5], Some(4)));
        assert_eq!(groups(true), (vec![0, 0, 2, 0, 0, 2], Some(8)));
        assert_eq!(Groups::default().heaviest(), None);
    }
}

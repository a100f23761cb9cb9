//! One organ cut out of the labels, to be worked on as a whole and put back.

use attention_anatomy::anatomy::Organ;

use super::{LabelStore, PaintOver};

/// A box of the volume, and which of its voxels are inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    /// First voxel of the box.
    pub origin: [usize; 3],
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// 1 inside, 0 outside; i fastest.
    pub voxels: Vec<u8>,
}

impl Mask {
    /// The organ in its bounding box widened by `margin` voxels along each axis, as far as the volume goes; `None` where it
    /// has no voxel.
    pub fn of(labels: &LabelStore, organ: Organ, margin: [usize; 3]) -> Option<Self> {
        let (first, last) = labels.first_last_slice(organ)?;
        let nx = labels.layer().size()[0];
        let (mut low, mut high) = ([usize::MAX, usize::MAX, first], [0, 0, last]);
        for k in first..=last {
            for (j, row) in labels.layer().slice(k).chunks_exact(nx).enumerate() {
                let holds = |l: &u8| *l == organ.label();
                if let (Some(a), Some(b)) = (row.iter().position(holds), row.iter().rposition(holds)) {
                    (low[0], high[0]) = (low[0].min(a), high[0].max(b));
                    (low[1], high[1]) = (low[1].min(j), high[1].max(j));
                }
            }
        }
        let origin: [usize; 3] = std::array::from_fn(|a| low[a].saturating_sub(margin[a]));
        let end: [usize; 3] = std::array::from_fn(|a| (high[a] + margin[a] + 1).min(labels.layer().size()[a]));
        let size = std::array::from_fn(|a| end[a] - origin[a]);
        let mut mask = Self { origin, size, voxels: Vec::with_capacity(size.iter().product()) };
        for k in origin[2]..end[2] {
            for row in labels.layer().slice(k).chunks_exact(nx).take(end[1]).skip(origin[1]) {
                mask.voxels.extend(row[origin[0]..end[0]].iter().map(|l| u8::from(*l == organ.label())));
            }
        }
        Some(mask)
    }

    /// Makes the organ this mask within the box, in one step: what is inside becomes the organ where `over` allows it, what
    /// is outside becomes background. Returns how many labels are others now.
    pub fn put(&self, labels: &mut LabelStore, organ: Organ, over: PaintOver, name: &'static str) -> usize {
        labels.begin(name);
        let nx = labels.layer().size()[0];
        let mut changed = 0;
        for (row, inside) in self.voxels.chunks_exact(self.size[0]).enumerate() {
            let (j, k) = (self.origin[1] + row % self.size[1], self.origin[2] + row / self.size[1]);
            let start = nx * j + self.origin[0];
            changed += labels.set(k, start..start + self.size[0], |n, label| match (inside[n - start] != 0, label) {
                (true, l) if l != organ.label() && over.allows(l, organ) => Some(organ.label()),
                (false, l) if l == organ.label() => Some(0),
                _ => None,
            });
        }
        labels.end();
        changed
    }

    /// The voxels of slice `k` of the box.
    pub fn slice_mut(&mut self, k: usize) -> &mut [u8] {
        let area = self.size[0] * self.size[1];
        &mut self.voxels[k * area..(k + 1) * area]
    }
}

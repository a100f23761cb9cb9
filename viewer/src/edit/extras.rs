//! Structures that are none of the 33 organs: targets, implants, margins. They may overlap organs and one another, so that each is
//! a shape of its own and no number of the label map. What changes them is a step of the same history.

use std::sync::Arc;

use attention_anatomy::formats::structures::OtherStructure;

use super::history::ExtrasChange;
use super::labels::LabelStore;
use crate::display::Plane;

/// Colours of structures that bring none, apart from each other and from those of most organs.
const COLOURS: [[u8; 3]; 8] = [
    [255, 64, 64],
    [64, 224, 255],
    [255, 160, 0],
    [190, 120, 255],
    [160, 255, 64],
    [255, 96, 200],
    [255, 240, 96],
    [96, 255, 190],
];

/// A structure that is none of the 33 organs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Extra {
    /// Tells it from the others of a study, whatever it is called.
    pub number: u64,
    /// Its name, as written.
    pub name: String,
    /// sRGB.
    pub colour: [u8; 3],
    /// RT ROI Interpreted Type, where a file gave it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interpreted_type: String,
    /// Whether it was made or changed here.
    #[serde(default)]
    pub edited: bool,
    /// Runs of voxels inside, in order: the first one and the one after the last, `i + nx * (j + ny * k)`. Volumes are
    /// written beside what describes them.
    #[serde(skip)]
    pub runs: Vec<[u32; 2]>,
}

/// Runs of voxels that are not 0.
pub fn runs_of(mask: &[u8]) -> Vec<[u32; 2]> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(start) = mask.get(at..).and_then(|rest| rest.iter().position(|&v| v != 0)).map(|n| at + n) {
        let end = mask[start..].iter().position(|&v| v == 0).map_or(mask.len(), |n| start + n);
        runs.push([start as u32, end as u32]);
        at = end;
    }
    runs
}

/// The colour of a structure that brings none.
pub fn usual_colour(number: u64) -> [u8; 3] {
    COLOURS[number as usize % COLOURS.len()]
}

impl Extra {
    /// One that was read.
    pub fn read(number: u64, structure: &OtherStructure) -> Self {
        Self {
            number,
            name: structure.name.clone(),
            colour: structure.colour.unwrap_or_else(|| usual_colour(number)),
            interpreted_type: structure.interpreted_type.clone(),
            edited: false,
            runs: structure.voxels.iter().map(|run| [run.start as u32, run.end as u32]).collect(),
        }
    }

    /// 1 inside, on a grid of `voxels`.
    pub fn mask(&self, voxels: usize) -> Vec<u8> {
        let mut mask = vec![0; voxels];
        for [start, end] in &self.runs {
            if let Some(run) = mask.get_mut(*start as usize..(*end as usize).min(voxels)) {
                run.fill(1);
            }
        }
        mask
    }

    /// Number of voxels.
    pub fn voxel_count(&self) -> u64 {
        self.runs.iter().map(|[start, end]| u64::from(end - start)).sum()
    }

    /// The most inferior and the most superior slice of `area` voxels with a voxel of it.
    pub fn first_last_slice(&self, area: usize) -> Option<(usize, usize)> {
        let ([first, _], [_, end]) = (self.runs.first()?, self.runs.last()?);
        Some((*first as usize / area, (*end as usize - 1) / area))
    }

    /// A voxel of it on its middle slice.
    pub fn centre(&self, [nx, ny, _]: [usize; 3]) -> Option<[usize; 3]> {
        let (first, last) = self.first_last_slice(nx * ny)?;
        let from = (nx * ny * ((first + last) / 2)) as u32;
        let after = self.runs.partition_point(|[_, end]| *end <= from);
        let here: Vec<_> = self.runs[after..].iter().take_while(|r| r[0] < from + (nx * ny) as u32).collect();
        let [start, end] = here.get(here.len() / 2).copied().or(self.runs.get(after))?;
        let at = ((start + end) / 2) as usize;
        Some([at % nx, at / nx % ny, at / (nx * ny)])
    }

    /// Slice `index` of a plane, 1 inside, with rows as the plane's second axis; `size` is that of the volume.
    pub fn plane(&self, plane: Plane, index: usize, size: [usize; 3]) -> Vec<u8> {
        let [nx, ny, _] = size;
        let [across, along, through] = plane.axes();
        let width = size[across];
        let mut picture = vec![0; width * size[along]];
        let runs = match through {
            2 => {
                let [from, to] = [index, index + 1].map(|k| (k * nx * ny) as u32);
                let first = self.runs.partition_point(|r| r[1] <= from);
                let last = self.runs.partition_point(|r| r[0] < to);
                &self.runs[first..last.max(first)]
            }
            _ => &self.runs[..],
        };
        for &[start, end] in runs {
            let (mut at, end) = (start as usize, end as usize);
            // Row by row of the volume: a run may go on in the next one.
            while at < end {
                let stop = (at - at % nx + nx).min(end);
                let row = [at % nx, at / nx % ny, at / (nx * ny)];
                if through == 0 {
                    if (row[0]..row[0] + stop - at).contains(&index) {
                        picture[row[across] + width * row[along]] = 1;
                    }
                } else if row[through] == index {
                    let first = row[0] + width * row[along];
                    if let Some(pixels) = picture.get_mut(first..first + stop - at) {
                        pixels.fill(1);
                    }
                }
                at = stop;
            }
        }
        picture
    }
}

impl LabelStore {
    /// Structures that are none of the 33 organs, in the order in which they came.
    pub fn extras(&self) -> &[Arc<Extra>] {
        &self.extras
    }

    /// The one with this number.
    pub fn extra(&self, number: u64) -> Option<&Arc<Extra>> {
        self.extras.iter().find(|extra| extra.number == number)
    }

    /// A number that no structure has.
    pub fn free_number(&self) -> u64 {
        self.extras.iter().map(|extra| extra.number + 1).max().unwrap_or(1)
    }

    /// Whether anything was made or changed by hand: voxels of organs, or other structures.
    pub fn has_edits(&self) -> bool {
        self.edited_voxels() > 0 || self.extras.iter().any(|extra| extra.edited)
    }

    /// Other structures in place of those that there are, as one step; nothing while another edit is under way.
    pub fn change_extras(&mut self, name: &'static str, after: Vec<Arc<Extra>>) -> bool {
        if self.is_busy() || after == self.extras {
            return false;
        }
        self.begin(name);
        self.exchange_extras(after);
        self.end();
        true
    }

    /// A structure in place of the one with its number, or behind all others.
    pub fn put_extra(&mut self, name: &'static str, extra: Extra) -> bool {
        let mut after = self.extras.clone();
        let extra = Arc::new(extra);
        match after.iter_mut().find(|e| e.number == extra.number) {
            Some(place) => *place = extra,
            None => after.push(extra),
        }
        self.change_extras(name, after)
    }

    /// Within an open step.
    pub(super) fn exchange_extras(&mut self, after: Vec<Arc<Extra>>) {
        let before = std::mem::replace(&mut self.extras, after.clone());
        self.count_edit();
        self.note_extras(ExtrasChange { before, after });
    }

    /// Without a step: one of them is undone or done again.
    pub(super) fn take_extras(&mut self, extras: Vec<Arc<Extra>>) {
        self.extras = extras;
        self.count_edit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::store;

    const SIZE: [usize; 3] = [7, 5, 4];

    /// A mask that has no symmetry, with a run over the end of a row.
    fn mask() -> Vec<u8> {
        (0..140u32).map(|n| u8::from(n.wrapping_mul(2_654_435_761) >> 30 == 0 || (40..47).contains(&n))).collect()
    }

    fn extra(number: u64) -> Extra {
        Extra { number, name: format!("GTV {number}"), runs: runs_of(&mask()), ..Extra::default() }
    }

    #[test]
    fn runs_and_masks_are_the_same_thing_in_every_plane() {
        let (extra, mask) = (extra(1), mask());
        assert_eq!(extra.mask(140), mask);
        assert_eq!(extra.voxel_count() as usize, mask.iter().filter(|&&v| v == 1).count());
        for plane in Plane::ALL {
            let [across, along, through] = plane.axes();
            for index in 0..SIZE[through] {
                let picture = extra.plane(plane, index, SIZE);
                for (n, &pixel) in picture.iter().enumerate() {
                    let mut at = [0; 3];
                    (at[across], at[along], at[through]) = (n % SIZE[across], n / SIZE[across], index);
                    assert_eq!(pixel, mask[at[0] + 7 * (at[1] + 5 * at[2])], "{plane:?} {at:?}");
                }
            }
        }
        let [i, j, k] = extra.centre(SIZE).unwrap();
        assert_eq!(mask[i + 7 * (j + 5 * k)], 1);
        assert_eq!((extra.first_last_slice(35), Extra::default().centre(SIZE)), (Some((0, 3)), None));
    }

    #[test]
    fn structures_come_go_and_come_back_in_the_one_history() {
        let mut labels = store(SIZE, [1.0; 3]);
        assert!(labels.put_extra("opened structures", extra(1)) && !labels.put_extra("the same", extra(1)));
        labels.set(0, 0..3, |_, _| Some(1));
        assert!(labels.put_extra("margin", Extra { edited: true, ..extra(2) }));
        let edits = labels.edits();
        assert_eq!((labels.extras().len(), labels.free_number(), labels.has_edits()), (2, 3, true));
        assert!(labels.undo() && labels.edits() > edits);
        assert_eq!((labels.extras().len(), labels.layer().get([0; 3])), (1, 1));
        labels.undo();
        labels.undo();
        assert!(labels.extras().is_empty() && labels.layer().get([0; 3]) == 0 && !labels.has_edits());
        for _ in 0..3 {
            labels.redo();
        }
        assert_eq!(
            (labels.extras()[1].as_ref(), labels.undo_name()),
            (&Extra { edited: true, ..extra(2) }, Some("margin"))
        );
        labels.check();
    }
}

//! What planners make of structures: a margin around one, one and another, one without another, the part within the body. The result is
//! another structure, or an organ, and one step that can be undone. What is asked for is here; [`attention_anatomy::raster`] does it.

use std::ops::Range;
use std::sync::Arc;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::raster::{Margin, crop_from, crop_to, difference, grow, intersection, shrink, union};
use attention_anatomy::volume::CtVolume;
use serde::{Deserialize, Serialize};

use super::extras::{Extra, usual_colour};
use super::history::Change;
use super::labels::LabelStore;
use super::mask::Mask;
use super::settings::PaintOver;
use super::snapshot::LabelSnapshot;

/// Something that is combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operand {
    /// An organ.
    Organ(Organ),
    /// A structure that is none, by its number.
    Extra(u64),
    /// The patient.
    Body,
}

/// How far, mm, to each side of the patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideMargins {
    /// Right, anterior, inferior: towards lower indices of the canonical grid.
    pub lower: [f64; 3],
    /// Left, posterior, superior.
    pub higher: [f64; 3],
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// A margin around it.
    Grow(SideMargins),
    /// A margin less.
    Shrink(SideMargins),
    /// Together with another one.
    Union(Operand),
    /// Only what is in another one, too.
    Intersection(Operand),
    /// Without another one.
    Difference(Operand),
    /// Only what is in another one and so far from its surface, mm.
    CropTo(Operand, f64),
    /// Only what is outside of another one and so far from it, mm.
    CropFrom(Operand, f64),
}

/// Where the result goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// The organ becomes it.
    Organ(Organ),
    /// The structure with this number becomes it.
    Extra(u64),
    /// A new structure of this name.
    New(String),
}

/// A structure that is made of others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StructureEdit {
    /// What it begins with.
    pub of: Operand,
    /// What is done to it.
    pub operation: Operation,
    /// Where the result goes.
    pub into: Target,
    /// What an organ may take the place of.
    pub over: PaintOver,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// Changes of the label map.
    Changes(Vec<Change>),
    /// A structure.
    Extra(Extra),
}

impl Operation {
    /// For people, in the list of what can be undone.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Grow(_) => "margin",
            Self::Shrink(_) => "negative margin",
            Self::Union(_) => "union",
            Self::Intersection(_) => "intersection",
            Self::Difference(_) => "difference",
            Self::CropTo(..) => "crop to",
            Self::CropFrom(..) => "crop from",
        }
    }

    /// What it is combined with.
    pub fn other(&self) -> Option<Operand> {
        match *self {
            Self::Grow(_) | Self::Shrink(_) => None,
            Self::Union(other) | Self::Intersection(other) | Self::Difference(other) => Some(other),
            Self::CropTo(other, _) | Self::CropFrom(other, _) => Some(other),
        }
    }

    /// How far it looks, mm.
    fn reach_mm(&self) -> f64 {
        match self {
            Self::Grow(m) | Self::Shrink(m) => m.lower.iter().chain(&m.higher).fold(0.0, |most, &mm| most.max(mm)),
            Self::CropTo(_, mm) | Self::CropFrom(_, mm) => *mm,
            _ => 0.0,
        }
    }
}

impl From<SideMargins> for Margin {
    fn from(SideMargins { lower, higher }: SideMargins) -> Self {
        Self { lower, higher }
    }
}

impl LabelStore {
    /// What is needed to make a structure.
    pub fn snapshot_of_structures(&self, edit: &StructureEdit) -> LabelSnapshot {
        let target = if let Target::Organ(organ) = edit.into { Some(Operand::Organ(organ)) } else { None };
        let operands: Vec<Operand> = [Some(edit.of), edit.operation.other(), target].into_iter().flatten().collect();
        let organs = operands.iter().filter_map(|o| if let Operand::Organ(organ) = o { Some(*organ) } else { None });
        let slices: Vec<Range<usize>> =
            organs.filter_map(|organ| self.first_last_slice(organ)).map(|(first, last)| first..last + 1).collect();
        // A result that becomes an organ asks what lies where it will.
        let all = target.is_some();
        let extras = self.extras().iter().filter(|extra| {
            operands.contains(&Operand::Extra(extra.number)) || edit.into == Target::Extra(extra.number)
        });
        LabelSnapshot {
            extras: extras.cloned().collect(),
            ..self.snapshot_of(|k| all || slices.iter().any(|range| range.contains(&k)))
        }
    }

    /// A structure that was made under a number, if it is still awaited; one step.
    pub fn take_made(&mut self, number: u64, extra: Extra) -> bool {
        let Some((_, name)) = self.awaited.take_if(|(awaited, _)| *awaited == number) else { return false };
        let number = if self.extra(extra.number).is_some() { extra.number } else { self.free_number() };
        let colour = if extra.colour == [0; 3] { usual_colour(number) } else { extra.colour };
        let voxels = extra.voxel_count() as usize;
        let changed = self.put_extra(name, Extra { number, colour, ..extra });
        self.finished = Some(voxels);
        changed
    }
}

/// A mask of a part of the volume.
struct Part {
    origin: [usize; 3],
    size: [usize; 3],
}

impl Part {
    fn start(&self, row: usize, volume: [usize; 3]) -> usize {
        let (j, k) = (self.origin[1] + row % self.size[1], self.origin[2] + row / self.size[1]);
        self.origin[0] + volume[0] * (j + volume[1] * k)
    }

    fn rows(&self) -> usize {
        self.size[1] * self.size[2]
    }
}

/// Along each axis, the first voxel and the one after the last.
type Bounds = [[usize; 2]; 3];

fn joined(a: Option<Bounds>, b: Option<Bounds>) -> Option<Bounds> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    Some(std::array::from_fn(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])]))
}

impl LabelSnapshot {
    fn bounds(&self, operand: Operand, [nx, ny, _]: [usize; 3]) -> Option<Bounds> {
        let mut found: Option<Bounds> = None;
        let mut add = |[i, j, k]: [usize; 3], length: usize| {
            found = joined(found, Some([[i, i + length], [j, j + 1], [k, k + 1]]));
        };
        match operand {
            Operand::Organ(organ) => {
                for (k, slice) in self.labels.slices().iter().enumerate() {
                    for (j, row) in slice.to_vec().chunks_exact(nx).enumerate() {
                        let first = row.iter().position(|&l| l == organ.label());
                        let last = row.iter().rposition(|&l| l == organ.label());
                        if let (Some(first), Some(last)) = (first, last) {
                            add([first, j, k], last + 1 - first);
                        }
                    }
                }
            }
            Operand::Extra(number) => {
                let extra = self.extras.iter().find(|extra| extra.number == number)?;
                for &[start, end] in &extra.runs {
                    let (mut at, end) = (start as usize, end as usize);
                    while at < end {
                        let stop = (at - at % nx + nx).min(end);
                        add([at % nx, at / nx % ny, at / (nx * ny)], stop - at);
                        at = stop;
                    }
                }
            }
            // As large as what it is combined with.
            Operand::Body => {}
        }
        found
    }

    fn part_of(&self, operand: Operand, part: &Part, volume: [usize; 3], body: &dyn Fn(usize) -> bool) -> Vec<u8> {
        let mut mask = Vec::with_capacity(part.size.iter().product());
        let area = volume[0] * volume[1];
        let extra = match operand {
            Operand::Extra(number) => self.extras.iter().find(|extra| extra.number == number),
            _ => None,
        };
        // The slice that is being read, and its number.
        let mut open = (usize::MAX, Vec::new());
        for row in 0..part.rows() {
            let start = part.start(row, volume);
            let voxels = start..start + part.size[0];
            match operand {
                Operand::Organ(organ) => {
                    if open.0 != start / area {
                        open = (start / area, self.labels.slice(start / area));
                    }
                    let row = open.1.get(start % area..).unwrap_or_default();
                    let inside = row.iter().map(|&l| u8::from(l == organ.label()));
                    mask.extend(inside.chain(std::iter::repeat(0)).take(part.size[0]));
                }
                Operand::Extra(_) => {
                    let runs = extra.map_or(&[][..], |extra| &extra.runs);
                    let first = runs.partition_point(|run| run[1] as usize <= start);
                    let from = mask.len();
                    mask.resize(from + part.size[0], 0);
                    for run in runs[first..].iter().take_while(|run| (run[0] as usize) < voxels.end) {
                        let [low, high] = [(run[0] as usize).max(start), (run[1] as usize).min(voxels.end)];
                        mask[from + low - start..from + high - start].fill(1);
                    }
                }
                Operand::Body => mask.extend(voxels.map(|n| u8::from(body(n)))),
            }
        }
        mask
    }

    /// Makes a structure of the labels of a CT; `body` says of each voxel whether it is the patient's. `None` where the labels do not
    /// belong to the CT, or there is nothing to begin with.
    pub fn make(&self, ct: &Arc<CtVolume>, edit: &StructureEdit, body: &dyn Fn(usize) -> bool) -> Option<Made> {
        let (size, spacing) = (ct.geometry.size, ct.geometry.spacing());
        if self.labels.len() != ct.geometry.voxel_count() {
            return None;
        }
        let target = match edit.into {
            Target::Organ(organ) => self.bounds(Operand::Organ(organ), size),
            _ => None,
        };
        let own = self.bounds(edit.of, size);
        let other = edit.operation.other().and_then(|other| self.bounds(other, size));
        let whole: Bounds = size.map(|n| [0, n]);
        let is_body = edit.of == Operand::Body || matches!(edit.operation, Operation::Union(Operand::Body));
        let bounds = if is_body { Some(whole) } else { joined(own, joined(other, target)) }?;
        let reach = edit.operation.reach_mm();
        let ends: Bounds = std::array::from_fn(|a| {
            let more = (reach / spacing[a]).ceil() as usize + 1;
            [bounds[a][0].saturating_sub(more), (bounds[a][1] + more).min(size[a])]
        });
        let part = Part { origin: ends.map(|e| e[0]), size: ends.map(|e| e[1] - e[0]) };
        let mask = |operand| self.part_of(operand, &part, size, body);
        let a = mask(edit.of);
        let made = match edit.operation {
            Operation::Grow(margin) => grow(&a, part.size, spacing, margin.into()),
            Operation::Shrink(margin) => shrink(&a, part.size, spacing, margin.into()),
            Operation::Union(b) => union(&a, &mask(b)),
            Operation::Intersection(b) => intersection(&a, &mask(b)),
            Operation::Difference(b) => difference(&a, &mask(b)),
            Operation::CropTo(b, inset) => crop_to(&a, &mask(b), part.size, spacing, inset),
            Operation::CropFrom(b, gap) => crop_from(&a, &mask(b), part.size, spacing, gap),
        };
        match &edit.into {
            Target::Organ(organ) => {
                let mut labels = LabelStore::from_snapshot(ct.clone(), self)?;
                Mask { origin: part.origin, size: part.size, voxels: made }.put(
                    &mut labels,
                    *organ,
                    edit.over,
                    edit.operation.name(),
                );
                Some(Made::Changes(labels.take_last_changes()))
            }
            into => {
                let mut runs: Vec<[u32; 2]> = Vec::new();
                for (row, voxels) in made.chunks_exact(part.size[0].max(1)).enumerate() {
                    let start = part.start(row, size) as u32;
                    runs.extend(super::extras::runs_of(voxels).into_iter().map(|run| run.map(|n| start + n)));
                }
                let old = if let Target::Extra(number) = into { *number } else { 0 };
                let old = self.extras.iter().find(|extra| extra.number == old);
                let name = if let Target::New(name) = into { name.clone() } else { String::new() };
                Some(Made::Extra(match old {
                    Some(extra) => Extra { runs, edited: true, ..(**extra).clone() },
                    None => Extra { name, runs, edited: true, ..Extra::default() },
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::{ct, store};

    const SIZE: [usize; 3] = [30, 24, 12];
    const SPACING: [f64; 3] = [2.0, 2.0, 3.0];

    /// Liver in a box, spleen in another that overlaps a structure.
    fn labels() -> LabelStore {
        let mut labels = store(SIZE, SPACING);
        for k in 4..8 {
            let mut slice = vec![0; 30 * 24];
            for j in 8..14 {
                slice[30 * j + 10..30 * j + 16].fill(Organ::Liver.label());
                slice[30 * j + 18..30 * j + 22].fill(Organ::Spleen.label());
            }
            labels.apply_run_slice(k, &slice);
        }
        let mask: Vec<u8> = (0..30 * 24 * 12).map(|n| u8::from((12..20).contains(&(n % 30)) && n / 720 == 5)).collect();
        labels.put_extra(
            "opened",
            Extra { number: 7, name: "GTV".into(), runs: super::super::runs_of(&mask), ..Extra::default() },
        );
        labels
    }

    fn whole(labels: &LabelStore, operand: Operand) -> Vec<u8> {
        match operand {
            Operand::Organ(organ) => labels.layer().voxels().iter().map(|&l| u8::from(l == organ.label())).collect(),
            Operand::Extra(number) => labels.extra(number).unwrap().mask(30 * 24 * 12),
            Operand::Body => (0..30 * 24 * 12).map(|n| u8::from(is_body(n))).collect(),
        }
    }

    fn is_body(n: usize) -> bool {
        (3..27).contains(&(n % 30)) && (2..11).contains(&(n / 30 % 24))
    }

    #[test]
    fn every_operation_gives_in_a_part_of_the_volume_what_it_gives_in_all_of_it() {
        let margins = SideMargins { lower: [4.0, 0.0, 3.0], higher: [2.0, 5.0, 9.0] };
        let (liver, gtv, body) = (Operand::Organ(Organ::Liver), Operand::Extra(7), Operand::Body);
        for operation in [
            Operation::Grow(margins),
            Operation::Shrink(SideMargins { lower: [2.0; 3], higher: [2.0; 3] }),
            Operation::Union(gtv),
            Operation::Intersection(gtv),
            Operation::Difference(gtv),
            Operation::CropTo(body, 0.0),
            Operation::CropTo(body, 5.0),
            Operation::CropFrom(gtv, 4.5),
            Operation::Union(body),
        ] {
            let mut labels = labels();
            let (a, b) =
                (whole(&labels, liver), operation.other().map(|other| whole(&labels, other)).unwrap_or_default());
            let expected = match operation {
                Operation::Grow(m) => grow(&a, SIZE, SPACING, m.into()),
                Operation::Shrink(m) => shrink(&a, SIZE, SPACING, m.into()),
                Operation::Union(_) => union(&a, &b),
                Operation::Intersection(_) => intersection(&a, &b),
                Operation::Difference(_) => difference(&a, &b),
                Operation::CropTo(_, mm) => crop_to(&a, &b, SIZE, SPACING, mm),
                Operation::CropFrom(_, mm) => crop_from(&a, &b, SIZE, SPACING, mm),
            };
            assert!(expected.contains(&1) && expected != a, "{operation:?}");
            let edit =
                StructureEdit { of: liver, operation, into: Target::New("made".into()), over: PaintOver::Background };
            let snapshot = labels.snapshot_of_structures(&edit);
            let Some(Made::Extra(extra)) = snapshot.make(&ct(SIZE, SPACING), &edit, &is_body) else { panic!() };
            assert_eq!(extra.mask(expected.len()), expected, "{operation:?}");
            labels.await_changes(3, operation.name());
            assert!(!labels.take_made(4, extra.clone()) && labels.take_made(3, extra));
            assert_eq!((labels.extras()[1].number, labels.extras()[1].edited), (8, true));
            assert!(labels.undo() && labels.extras().len() == 1 && labels.undo_name() == Some("opened"));

            // Into an organ: over background only, and over everything; what the organ was goes.
            for (over, organ) in [(PaintOver::Everything, Organ::Spleen), (PaintOver::Background, Organ::Heart)] {
                let edit = StructureEdit { of: liver, operation, into: Target::Organ(organ), over };
                let Some(Made::Changes(changes)) =
                    labels.snapshot_of_structures(&edit).make(&ct(SIZE, SPACING), &edit, &is_body)
                else {
                    panic!()
                };
                let before = labels.layer().voxels();
                labels.await_changes(5, operation.name());
                labels.apply_changes(5, changes);
                for (n, &label) in labels.layer().voxels().iter().enumerate() {
                    let free = over == PaintOver::Everything || before[n] == 0 || before[n] == organ.label();
                    let kept = if before[n] == organ.label() { 0 } else { before[n] };
                    assert_eq!(label, if expected[n] == 1 && free { organ.label() } else { kept }, "{operation:?} {n}");
                }
                labels.check();
                labels.undo();
                assert_eq!(labels.layer().voxels(), before);
            }
        }
    }

    #[test]
    fn nothing_comes_of_nothing_and_a_structure_keeps_its_name_when_it_becomes_another() {
        let labels = labels();
        let of_nothing = StructureEdit {
            of: Operand::Organ(Organ::Heart),
            operation: Operation::Grow(SideMargins::default()),
            into: Target::New("x".into()),
            over: PaintOver::Background,
        };
        let snapshot = labels.snapshot_of_structures(&of_nothing);
        assert_eq!(snapshot.make(&ct(SIZE, SPACING), &of_nothing, &is_body), None);
        let edit = StructureEdit {
            of: Operand::Extra(7),
            operation: Operation::Difference(Operand::Organ(Organ::Liver)),
            into: Target::Extra(7),
            over: PaintOver::Background,
        };
        let Some(Made::Extra(extra)) = labels.snapshot_of_structures(&edit).make(&ct(SIZE, SPACING), &edit, &is_body)
        else {
            panic!()
        };
        assert_eq!((extra.number, extra.name.as_str(), extra.edited), (7, "GTV", true));
        assert!(extra.voxel_count() < labels.extra(7).unwrap().voxel_count());
    }
}

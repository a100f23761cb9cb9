//! Structures on their way out of the program and into it, whatever the format: an RTSTRUCT draws them, a SEG samples them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::dicom::SeriesInfo;
use super::label_names::Lost;
use crate::anatomy::{Organ, OrganSet, SnomedCode};
use crate::volume::{AxisMap, Geometry, GeometryError, LabelVolume, Modality, Volume};

/// The outline of the patient, as every planning system calls it.
pub(super) const BODY: &str = "BODY";
/// Its RT ROI Interpreted Type.
pub(super) const EXTERNAL: &str = "EXTERNAL";
/// Its colour on screen, sRGB.
const BODY_COLOUR: [u8; 3] = [0, 200, 0];

/// How a structure came about (ROI Generation Algorithm and Segment Algorithm Type).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drawn {
    /// By a program alone.
    Automatic,
    /// By a program, then changed by a person.
    Semiautomatic,
    /// By a person.
    Manual,
    /// Nobody says.
    #[default]
    Unknown,
}

/// A structure to be written: the voxels of `labels` that are `label`.
#[derive(Clone, Copy, Debug)]
pub struct Structure<'a> {
    /// Its name.
    pub name: &'a str,
    /// Colour on screen, sRGB.
    pub colour: [u8; 3],
    /// RT ROI Interpreted Type (3006,00A4): `ORGAN`, `EXTERNAL`...; empty where it is not known.
    pub interpreted_type: &'a str,
    /// How it came about.
    pub drawn: Drawn,
    /// What it is, and on which side.
    pub code: Option<(SnomedCode, Option<SnomedCode>)>,
    /// One number for each voxel of the canonical grid.
    pub labels: &'a [u8],
    /// Which number is this structure's.
    pub label: u8,
}

impl<'a> Structure<'a> {
    /// The organ with the number of the anatomy table.
    pub fn organ(organ: Organ, labels: &'a [u8], drawn: Drawn) -> Self {
        Self {
            name: organ.tg263(),
            colour: organ.colour(),
            interpreted_type: "ORGAN",
            drawn,
            code: organ.snomed().map(|code| (code, organ.side().snomed())),
            labels,
            label: organ.label(),
        }
    }

    /// The organs of a label map that have a voxel, in the order of the anatomy table. `drawn` says of each how it came about.
    pub fn organs(labels: &'a LabelVolume, drawn: impl Fn(Organ) -> Drawn) -> Vec<Self> {
        let present = OrganSet::of_labels(&labels.voxels);
        present.iter().map(|organ| Self::organ(organ, &labels.voxels, drawn(organ))).collect()
    }

    /// The outline of the patient, which dose calculation asks for. `body` is 1 inside.
    pub fn body(body: &'a [u8]) -> Self {
        Self {
            name: BODY,
            colour: BODY_COLOUR,
            interpreted_type: EXTERNAL,
            drawn: Drawn::Automatic,
            code: Some((SnomedCode { value: "38266002", meaning: "Entire body" }, None)),
            labels: body,
            label: 1,
        }
    }
}

/// Structures that may overlap, as few label maps in which none does: a map for each of them would not fit in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    maps: Vec<Vec<u8>>,
    /// Map and number of every structure.
    places: Vec<(usize, u8)>,
}

impl Layers {
    /// Of structures on a grid of `voxels`.
    pub fn of(structures: &[OtherStructure], voxels: usize) -> Self {
        let (mut maps, mut places): (Vec<Vec<u8>>, Vec<(usize, u8)>) = (Vec::new(), Vec::new());
        for structure in structures {
            let taken = |n: usize| places.iter().filter(|place| place.0 == n).count();
            let is_free = |map: &Vec<u8>| structure.voxels.iter().all(|run| map[run.clone()].iter().all(|&v| v == 0));
            let place = (0..maps.len()).find(|&n| taken(n) < 255 && is_free(&maps[n])).unwrap_or(maps.len());
            if place == maps.len() {
                maps.push(vec![0; voxels]);
            }
            let number = taken(place) as u8 + 1;
            structure.voxels.iter().for_each(|run| maps[place][run.clone()].fill(number));
            places.push((place, number));
        }
        Self { maps, places }
    }

    /// To be written: `structures` are those that the layers are of.
    pub fn structures<'a>(&'a self, structures: &'a [OtherStructure], drawn: Drawn) -> Vec<Structure<'a>> {
        let one = |(structure, &(map, label)): (&'a OtherStructure, &(usize, u8))| Structure {
            name: &structure.name,
            colour: structure.colour.unwrap_or([255, 255, 0]),
            interpreted_type: &structure.interpreted_type,
            drawn,
            code: None,
            labels: &self.maps[map],
            label,
        };
        structures.iter().zip(&self.places).map(one).collect()
    }
}

/// The grid onto which structures without a grid of their own are read: that of the CT.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGrid {
    /// The grid as the CT's file stores it; for DICOM, k counts the slices.
    pub stored: Geometry,
    axes: AxisMap,
    canonical: Geometry,
}

impl TargetGrid {
    /// From the stored grid of a CT.
    ///
    /// # Errors
    /// [`GeometryError::Oblique`]
    pub fn new(stored: Geometry) -> Result<Self, GeometryError> {
        let (axes, _) = stored.canonical_axes()?;
        Ok(Self { canonical: stored.permuted(&axes), axes, stored })
    }

    /// The grid of a volume.
    pub fn of<T>(volume: &Volume<T>) -> Self {
        Self { stored: volume.stored.clone(), axes: volume.axes, canonical: volume.geometry.clone() }
    }

    /// A label map without a label.
    fn empty(&self) -> LabelVolume {
        Volume {
            geometry: self.canonical.clone(),
            voxels: vec![0; self.canonical.voxel_count()],
            stored: self.stored.clone(),
            axes: self.axes,
            modality: Modality::Unknown,
            warnings: Vec::new(),
        }
    }

    /// The runs of voxels in canonical order that are not 0 in `stored`, which is in stored order and need not be copied for it.
    fn runs(&self, stored: &[u8]) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let (columns, mut at) = (self.canonical.size[0], 0);
        self.axes.rows(self.stored.size, |first, step| {
            for i in 0..columns {
                if stored[(first as isize + i as isize * step) as usize] != 0 {
                    match runs.last_mut() {
                        Some(last) if last.end == at + i => last.end += 1,
                        _ => runs.push(at + i..at + i + 1),
                    }
                }
            }
            at += columns;
        });
        runs
    }
}

/// The identity of the CT that the grid is of, where it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesLink {
    /// FrameOfReferenceUID (0020,0052).
    pub(super) frame_of_reference_uid: String,
    /// SeriesInstanceUID (0020,000E).
    pub(super) series_uid: String,
    /// SOPInstanceUID (0008,0018) of every slice.
    pub(super) instances: BTreeSet<String>,
}

impl From<&SeriesInfo> for SeriesLink {
    fn from(series: &SeriesInfo) -> Self {
        Self {
            frame_of_reference_uid: series.frame_of_reference_uid.clone(),
            series_uid: series.uid.clone(),
            instances: series
                .instances
                .iter()
                .filter(|i| !i.interpolated)
                .map(|i| i.sop_instance_uid.clone())
                .collect(),
        }
    }
}

/// A structure that was read and is none of the 33 organs.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherStructure {
    /// Its name, as written.
    pub name: String,
    /// sRGB, where the file gives it.
    pub colour: Option<[u8; 3]>,
    /// RT ROI Interpreted Type, where the file gives it.
    pub interpreted_type: String,
    /// Runs of voxels inside, in canonical order: indices into the voxels of a label map on the grid.
    pub voxels: Vec<Range<usize>>,
}

impl OtherStructure {
    /// The outline of the patient, for a file that has no other place for it than a mask. `body` is 1 inside, in canonical order.
    pub fn body(body: &[u8]) -> Self {
        Self { name: BODY.into(), colour: Some(BODY_COLOUR), interpreted_type: EXTERNAL.into(), voxels: runs(body) }
    }

    /// 1 inside, on a grid of `voxels`.
    pub fn mask(&self, voxels: usize) -> Vec<u8> {
        let mut mask = vec![0; voxels];
        self.voxels.iter().for_each(|run| mask[run.clone()].fill(1));
        mask
    }
}

/// What was read of a structure set or segmentation, on a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Structures {
    /// The organs, with the numbers of the anatomy table. A voxel of several organs is the smallest one's.
    pub labels: LabelVolume,
    /// The organs that the file names, whether or not they have a voxel on this grid.
    pub organs: OrganSet,
    /// What is none of the 33 organs.
    pub others: Vec<OtherStructure>,
    /// Whether `labels` has the numbers of the file instead of those of the anatomy table.
    pub by_number: bool,
    /// What was not taken as it stands, a sentence each, with the name of the structure.
    pub warnings: Vec<String>,
}

impl Structures {
    /// A label map that has the numbers of the anatomy table.
    pub fn of_organs(labels: LabelVolume) -> Self {
        Self::of_map(labels, false)
    }

    /// A label map whose numbers are not those of the anatomy table: each becomes a structure that is no organ, named by it.
    pub fn by_number(labels: LabelVolume) -> Self {
        Self::called(labels, true, |number| format!("Label {number}"))
    }

    /// Every number of a label map becomes a structure that is no organ.
    pub(super) fn called(mut labels: LabelVolume, by_number: bool, name: impl Fn(u8) -> String) -> Self {
        let mut found: BTreeMap<u8, Vec<Range<usize>>> = BTreeMap::new();
        let mut at = 0;
        for run in labels.voxels.chunk_by(|a, b| a == b) {
            if run[0] != 0 {
                found.entry(run[0]).or_default().push(at..at + run.len());
            }
            at += run.len();
        }
        labels.voxels.fill(0);
        let other = |(number, voxels)| OtherStructure {
            name: name(number),
            colour: None,
            interpreted_type: String::new(),
            voxels,
        };
        let others = found.into_iter().map(other).collect();
        Self { others, ..Self::of_map(labels, by_number) }
    }

    /// What a label map holds.
    pub(super) fn of_map(labels: LabelVolume, by_number: bool) -> Self {
        let organs = OrganSet::of_labels(&labels.voxels);
        let warnings = labels.warnings.clone();
        Self { labels, organs, others: Vec::new(), by_number, warnings }
    }
}

/// Structures on their way into one label map, each as runs of voxels: a mask a structure would not fit in memory.
pub(super) struct Collected {
    grid: TargetGrid,
    organs: BTreeMap<Organ, Vec<Range<usize>>>,
    others: Vec<OtherStructure>,
    pub(super) warnings: Vec<String>,
}

impl Collected {
    pub(super) fn new(grid: TargetGrid, warnings: Vec<String>) -> Self {
        Self { grid, organs: BTreeMap::new(), others: Vec::new(), warnings }
    }

    /// Adds a structure, which may be one of the 33 organs; `stored` is not 0 inside, in stored order.
    pub(super) fn add(
        &mut self,
        organ: Option<Organ>,
        name: &str,
        colour: Option<[u8; 3]>,
        interpreted_type: &str,
        stored: &[u8],
    ) {
        let voxels = self.grid.runs(stored);
        match organ {
            Some(organ) => {
                if self.organs.contains_key(&organ) {
                    self.warnings.push(format!("{name}: another structure is the {organ} too; they were put together"));
                }
                self.organs.entry(organ).or_default().extend(voxels);
            }
            None => self.others.push(OtherStructure {
                name: name.to_owned(),
                colour,
                interpreted_type: interpreted_type.to_owned(),
                voxels,
            }),
        }
    }

    pub(super) fn finish(mut self) -> Structures {
        let organs = self.organs.keys().copied().collect();
        let mut labels = self.grid.empty();
        // The smallest last: what encloses another organ is the larger one.
        let mut drawn: Vec<(Organ, Vec<Range<usize>>)> = self.organs.into_iter().collect();
        drawn.sort_by_key(|(_, voxels)| std::cmp::Reverse(voxels.iter().map(Range::len).sum::<usize>()));
        let mut lost = Lost::default();
        for (organ, voxels) in drawn {
            for run in voxels {
                for voxel in &mut labels.voxels[run] {
                    lost.count(*voxel, organ.label());
                    *voxel = organ.label();
                }
            }
        }
        self.warnings.extend(lost.sentence(&labels));
        labels.warnings.clone_from(&self.warnings);
        Structures { labels, organs, others: self.others, by_number: false, warnings: self.warnings }
    }
}

/// Runs of voxels that are not 0.
pub(super) fn runs(voxels: &[u8]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(start) = voxels[at..].iter().position(|&v| v != 0).map(|n| at + n) {
        let end = voxels[start..].iter().position(|&v| v == 0).map_or(voxels.len(), |n| start + n);
        runs.push(start..end);
        at = end;
    }
    runs
}

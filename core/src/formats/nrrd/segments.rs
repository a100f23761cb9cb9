//! Segmentations of 3D Slicer (`.seg.nrrd`): label maps that name their segments in key/value pairs of the header, with
//! segments that overlap in layers of their own (a fourth axis).
//!
//! `Segment3_Name:=liver`, `Segment3_LabelValue:=1`, `Segment3_Layer:=2`; before layers were shared, segment n was layer n
//! with the value 1 and neither was written. Source: vtkMRMLSegmentationStorageNode of 3D Slicer.

use std::collections::{BTreeMap, BTreeSet};

use crate::anatomy::Organ;
use crate::formats::label_names::{LabelError, Lost, left_out, organ_named, told};
use crate::volume::LabelVolume;

/// What a header says of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// As the user named it.
    pub name: String,
    /// What Slicer's terminology calls it, with its side.
    term: Option<String>,
    /// Its number in its layer.
    value: u32,
    layer: usize,
}

/// The layers of a segmentation, each a label map on the same grid, and the segments in them.
#[derive(Clone, Debug, PartialEq)]
pub struct SlicerSegmentation {
    pub(super) layers: Vec<LabelVolume>,
    pub(super) segments: Vec<Segment>,
}

/// The segments that a header names; none where it is not Slicer's.
pub(super) fn segments(keys: &BTreeMap<String, String>, layers: usize) -> Vec<Segment> {
    let numbers: BTreeSet<usize> =
        keys.keys().filter_map(|key| key.strip_prefix("Segment")?.split_once('_')?.0.parse().ok()).collect();
    let segment = |n: usize| {
        let get = |key: &str| keys.get(&format!("Segment{n}_{key}")).map(|v| v.trim().to_owned());
        let whole = |key: &str| -> Option<u32> { get(key)?.parse().ok() };
        let layer = whole("Layer").map_or(if layers > 1 { n } else { 0 }, |layer| layer as usize);
        Segment {
            name: get("Name").or_else(|| get("ID")).unwrap_or_default(),
            term: get("Tags").and_then(|tags| term(&tags)),
            value: whole("LabelValue").unwrap_or(1),
            layer,
        }
    };
    numbers.into_iter().map(segment).collect()
}

/// Whether the voxels of a segmentation are shares and not labels.
pub(super) fn is_fractional(keys: &BTreeMap<String, String>) -> bool {
    ["Segmentation_MasterRepresentation", "Segmentation_SourceRepresentation"]
        .iter()
        .any(|key| keys.get(*key).is_some_and(|v| v.to_ascii_lowercase().contains("fractional")))
}

/// `...TerminologyEntry:list~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left~...|`
fn term(tags: &str) -> Option<String> {
    let entry = tags.split_once("TerminologyEntry:")?.1.split('|').next()?;
    let mut meanings =
        entry.split('~').skip(2).map(|part| part.rsplit('^').next().unwrap_or_default().trim().to_owned());
    let (kind, side) = (meanings.next()?, meanings.next().unwrap_or_default());
    (!kind.is_empty()).then(|| format!("{kind} {side}").trim().to_owned())
}

impl Segment {
    fn organ(&self) -> Option<Organ> {
        organ_named(&self.name).or_else(|| organ_named(self.term.as_deref()?))
    }
}

impl SlicerSegmentation {
    /// The segments' names, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.segments.iter().map(|s| s.name.as_str()).collect()
    }

    /// One label map with the numbers of the anatomy table. A voxel of several organs becomes the smallest one's: what encloses
    /// another organ is the larger one. What is no organ becomes background, and a warning names it.
    ///
    /// # Errors
    /// [`LabelError::NoOrgan`] for a segmentation that shows something and no organ.
    pub fn organs(self) -> Result<LabelVolume, LabelError> {
        let Self { mut layers, segments } = self;
        // What each number of each layer means, and how often it occurs.
        let counts: Vec<[usize; 256]> = layers
            .iter()
            .map(|layer| {
                let mut count = [0; 256];
                layer.voxels.iter().for_each(|&v| count[usize::from(v)] += 1);
                count
            })
            .collect();
        let mut meant = vec![[0u8; 256]; layers.len()];
        let mut named = vec![[false; 256]; layers.len()];
        let mut voxels = [0usize; 256];
        let mut others = Vec::new();
        for segment in &segments {
            let value = segment.value as usize;
            let Some(count) = counts.get(segment.layer).and_then(|c| c.get(value)).filter(|_| value > 0) else {
                continue;
            };
            named[segment.layer][value] = true;
            match segment.organ() {
                Some(organ) => {
                    meant[segment.layer][value] = organ.label();
                    voxels[usize::from(organ.label())] += count;
                }
                None if *count > 0 => others.push(segment.name.clone()),
                None => {}
            }
        }
        let unnamed: Vec<String> = counts
            .iter()
            .zip(&named)
            .flat_map(|(count, named)| (1..256).filter(|&v| count[v] > 0 && !named[v]).map(|v| v.to_string()))
            .collect();
        let shown = counts.iter().any(|count| count[1..].iter().any(|&c| c > 0));
        if shown && voxels.iter().all(|&v| v == 0) {
            others.extend(unnamed.into_iter().map(|number| format!("{number} without a name")));
            return Err(LabelError::NoOrgan(told(&others)));
        }
        let Some(mut organs) = layers.pop() else {
            return Err(LabelError::NoOrgan("there is no layer".into()));
        };
        let last = meant.len() - 1;
        organs.voxels.iter_mut().for_each(|v| *v = meant[last][usize::from(*v)]);
        let mut lost = Lost::default();
        for (layer, meant) in layers.iter().zip(&meant) {
            for (organ, &v) in organs.voxels.iter_mut().zip(&layer.voxels) {
                let other = meant[usize::from(v)];
                if other != 0 && (*organ == 0 || voxels[usize::from(other)] < voxels[usize::from(*organ)]) {
                    lost.count(*organ, other);
                    *organ = other;
                } else if other != 0 {
                    lost.count(other, *organ);
                }
            }
        }
        organs.warnings.extend(lost.sentence(&organs));
        organs.warnings.extend(left_out(&others));
        if !unnamed.is_empty() {
            organs.warnings.push(format!("labels that belong to no segment count as background: {}", told(&unnamed)));
        }
        Ok(organs)
    }
}

//! A series read in steps: a few files at a time, so that whoever shows progress can, and whoever has had enough can
//! stop. Its size is known before the first pixel is decoded.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use super::choice::{self, SeriesChoice};
use super::dataset::DataSet;
use super::error::DicomError;
use super::pixels::{self, Clipping};
use super::repairs::{Repairs, fill};
use super::request::SeriesRequest;
use super::series::{ImageFile, Series, SeriesInfo};
use super::survey::{Survey, hounsfield_doubt, survey};
use crate::volume::{CtVolume, Geometry, Modality, Volume};

/// Most voxels of a volume: 2 GiB of `i16`.
const MAX_VOXELS: usize = 1 << 30;
/// Files that are decoded in one step, side by side where there are processors for it.
const FILES_PER_STEP: usize = 16;

/// From black to white in the picture of a CT series: lungs and soft tissue can be told.
const PREVIEW_HU: [f64; 2] = [-700.0, 300.0];

/// A series on its way in.
pub struct SeriesReader {
    survey: Survey,
    /// Which of the survey's series is read.
    chosen: usize,
    /// Why that one; empty where there is no other, or it was asked for.
    reasons: String,
    stored: Geometry,
    /// Columns and rows of a slice as the files have it, and slices of the grid.
    acquired: [usize; 3],
    /// Files of the series that are still to be decoded, by their image.
    left: VecDeque<(usize, Vec<u8>)>,
    files: usize,
    voxels: Vec<i16>,
    clipped: usize,
}

impl std::fmt::Debug for SeriesReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesReader").field("left", &self.left.len()).field("of", &self.files).finish()
    }
}

impl SeriesReader {
    /// Finds the series among the files and proves that its slices form a grid; no pixel is decoded yet. See
    /// [`read_series`](super::read_series) for what is read.
    ///
    /// # Errors
    /// [`DicomError`]: nothing to read, a damaged file, or slices that form no rectangular grid.
    pub fn open(files: Vec<(String, Vec<u8>)>, request: impl Into<SeriesRequest>) -> Result<Self, DicomError> {
        let SeriesRequest { choice, repairs } = request.into();
        SeriesSurvey::mended(files, repairs)?.read(choice)
    }

    fn begin(survey: Survey, files: Vec<(String, Vec<u8>)>, choice: SeriesChoice) -> Result<Self, DicomError> {
        let (chosen, reasons) = choice::choose(&survey.series, &choice)?;
        let stored = chosen.stack.as_ref().map_err(Clone::clone)?.geometry.clone();
        let acquired = [chosen.info.size[0], chosen.info.size[1], stored.size[2]];
        for &(n, _) in &chosen.slices {
            let image = &survey.images[n];
            pixels::check(&image.header, &image.name)?;
        }
        let mut by_index: BTreeMap<usize, usize> =
            chosen.slices.iter().map(|&(n, _)| (survey.images[n].index, n)).collect();
        // Files of other series are dropped here.
        let left: VecDeque<(usize, Vec<u8>)> = files
            .into_iter()
            .enumerate()
            .filter_map(|(index, (_, bytes))| Some((by_index.remove(&index)?, bytes)))
            .collect();
        let chosen = survey.series.iter().position(|s| std::ptr::eq(s, chosen)).unwrap_or(0);
        Ok(Self { chosen, reasons, stored, acquired, files: left.len(), left, voxels: Vec::new(), clipped: 0, survey })
    }

    /// Voxels of the volume along the stored axes.
    pub fn size(&self) -> [usize; 3] {
        self.stored.size
    }

    /// How much is decoded, 0 to 1.
    pub fn part(&self) -> f32 {
        1.0 - self.left.len() as f32 / self.files.max(1) as f32
    }

    /// Decodes some files; whether more are left.
    ///
    /// # Errors
    /// [`DicomError`]: pixels that cannot be decoded, or a volume that does not fit in memory.
    pub fn step(&mut self) -> Result<bool, DicomError> {
        if self.voxels.is_empty() {
            self.voxels = room(&self.stored, self.acquired)?;
        }
        let part = self.left.drain(..self.left.len().min(FILES_PER_STEP));
        let batch = part.map(|(n, bytes)| (n, Cow::Owned(bytes))).collect();
        let chosen = &self.survey.series[self.chosen];
        self.clipped += decode(&self.survey.images, chosen, batch, &mut self.voxels)?.clipped;
        Ok(!self.left.is_empty())
    }

    /// The volume, the series read, and every series found. Call when [`SeriesReader::step`] has nothing left.
    ///
    /// # Errors
    /// [`DicomError::Geometry`]
    pub fn finish(self) -> Result<(CtVolume, SeriesInfo, Vec<SeriesInfo>), DicomError> {
        let Survey { images, series, notes } = self.survey;
        let chosen: &Series = &series[self.chosen];
        let mut volume = assemble(&images, chosen, self.voxels, self.clipped)?;
        volume.warnings.extend(notes.into_iter().map(|(_, note)| note));
        if series.len() > 1 && !self.reasons.is_empty() {
            let (n, info) = (series.len(), &chosen.info);
            let step = info.spacing.map_or(0.0, |[_, _, step]| step);
            let kernel = if info.kernel.is_empty() { String::new() } else { format!(", kernel {}", info.kernel) };
            volume.warnings.push(format!(
                "the files hold {n} series; number {} of them was read ({} slices, {step:.2} mm apart{kernel}) because {}",
                self.chosen + 1,
                info.slices,
                self.reasons
            ));
        }
        let info = chosen.info.clone();
        Ok((volume, info, series.into_iter().map(|s| s.info).collect()))
    }
}

/// The volume of a series that was surveyed, without what is to be said of the folder. Nothing of the files is read again but their pixels,
/// and none is copied.
///
/// # Errors
/// As [`SeriesReader`].
pub(super) fn volume_of(survey: &Survey, series: &Series, files: &[(String, Vec<u8>)]) -> Result<CtVolume, DicomError> {
    let stored = &series.stack.as_ref().map_err(Clone::clone)?.geometry;
    let mut voxels = room(stored, [series.info.size[0], series.info.size[1], stored.size[2]])?;
    let own = |&(n, _): &(usize, usize)| Some((n, Cow::Borrowed(files.get(survey.images[n].index)?.1.as_slice())));
    let clipping = decode(&survey.images, series, series.slices.iter().filter_map(own).collect(), &mut voxels)?;
    assemble(&survey.images, series, voxels, clipping.clipped)
}

/// Room for the slices as the files have them: columns, rows and slices of `acquired`.
fn room(stored: &Geometry, acquired: [usize; 3]) -> Result<Vec<i16>, DicomError> {
    let (count, whole) = (acquired.iter().product::<usize>(), stored.voxel_count());
    let mut voxels = Vec::new();
    if whole > MAX_VOXELS || count > MAX_VOXELS || voxels.try_reserve_exact(count).is_err() {
        return Err(DicomError::TooLarge(stored.size));
    }
    voxels.resize(count, 0);
    Ok(voxels)
}

/// Decodes files, each by its image, into the slices that they have of the volume.
fn decode(
    images: &[ImageFile],
    series: &Series,
    files: BTreeMap<usize, Cow<'_, [u8]>>,
    voxels: &mut [i16],
) -> Result<Clipping, DicomError> {
    let mut slices: BTreeMap<usize, Vec<(usize, &mut [i16])>> = BTreeMap::new();
    let at = series.stack.as_ref().map_err(Clone::clone)?.at.as_slice();
    let mut wanted = series.slices.iter().zip(at).peekable();
    for (k, out) in voxels.chunks_mut(series.info.size[0] * series.info.size[1]).enumerate() {
        let Some((&(image, frame), _)) = wanted.next_if(|(_, at)| **at == k) else { continue };
        if files.contains_key(&image) {
            slices.entry(image).or_default().push((frame, out));
        }
    }
    let jobs: Vec<Job> = files
        .into_iter()
        .filter_map(|(n, bytes)| Some(Job { image: &images[n], bytes, slices: slices.remove(&n)? }))
        .collect();
    let add = |a: Clipping, b: Clipping| Clipping { clipped: a.clipped + b.clipped };
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        jobs.into_par_iter().map(Job::run).try_reduce(Clipping::default, |a, b| Ok(add(a, b)))
    }
    #[cfg(target_family = "wasm")]
    jobs.into_iter().map(Job::run).try_fold(Clipping::default(), |a, b| Ok(add(a, b?)))
}

/// The volume of decoded slices: sheared and filled as its series asks for, with what is to be said of it.
fn assemble(images: &[ImageFile], series: &Series, acquired: Vec<i16>, clipped: usize) -> Result<CtVolume, DicomError> {
    let stack = series.stack.as_ref().map_err(Clone::clone)?;
    let mut voxels = match &stack.shear {
        Some(shear) => shear.apply(&acquired),
        None => acquired,
    };
    fill(&mut voxels, stack.geometry.size, &stack.missing());
    let mut volume = Volume::from_stored(stack.geometry.clone(), voxels, series.info.modality.clone())?;
    if clipped > 0 {
        volume.warnings.push(format!("{clipped} voxels were outside -32768 to 32767 and were clipped"));
    }
    volume.warnings.extend(hounsfield_doubt(images, series));
    volume.warnings.extend(series.notes.clone());
    Ok(volume)
}

/// Files whose series are known: for whoever chooses one of them.
pub struct SeriesSurvey {
    survey: Survey,
    files: Vec<(String, Vec<u8>)>,
}

impl std::fmt::Debug for SeriesSurvey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesSurvey").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl SeriesSurvey {
    /// Finds the series among the files; no pixel is decoded.
    ///
    /// # Errors
    /// [`DicomError`]: nothing to read, or a damaged file.
    pub fn of(files: Vec<(String, Vec<u8>)>) -> Result<Self, DicomError> {
        Self::mended(files, Repairs::default())
    }

    /// As [`of`](Self::of), with series mended.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn mended(files: Vec<(String, Vec<u8>)>, repairs: Repairs) -> Result<Self, DicomError> {
        Ok(Self { survey: survey(&files, repairs)?, files })
    }

    /// The same files, with their series mended; they stand in the same order.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn repaired(self, repairs: Repairs) -> Result<Self, DicomError> {
        Self::mended(self.files, repairs)
    }

    /// The series, in the order in which [`SeriesChoice::Listed`] counts them.
    pub fn series(&self) -> Vec<&SeriesInfo> {
        self.survey.series.iter().map(|s| &s.info).collect()
    }

    /// The place of the one that is read where nobody chooses, and why.
    pub fn best(&self) -> Option<(usize, String)> {
        let (best, why) = choice::choose(&self.survey.series, &SeriesChoice::Best).ok()?;
        Some((self.survey.series.iter().position(|s| std::ptr::eq(s, best))?, why))
    }

    /// Size of all files together, bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The middle slice of a series as grey values, at most `side` wide and high: width and height, and the pixels row by row. A CT in
    /// a window of soft tissue and lung, anything else from its lowest to its highest value. `None` where it cannot be decoded.
    pub fn preview(&self, place: usize, side: usize) -> Option<([usize; 2], Vec<u8>)> {
        let series = self.survey.series.get(place)?;
        let &(n, frame) = series.slices.get(series.slices.len() / 2)?;
        let ImageFile { index, name, header } = self.survey.images.get(n)?;
        pixels::check(header, name).ok()?;
        let set = DataSet::open(&self.files.get(*index)?.1).ok()?;
        let [columns, rows] = [header.columns, header.rows];
        if columns == 0 || rows == 0 || columns.saturating_mul(rows) > 1 << 26 {
            return None;
        }
        let mut values = vec![0i16; columns * rows];
        pixels::decode(header, &set, header.pixels.as_ref()?, frame, &mut values, name).ok()?;
        let [low, high] = if series.info.modality == Modality::Ct {
            PREVIEW_HU
        } else {
            [values.iter().min().copied()?.into(), values.iter().max().copied()?.into()]
        };
        let step = (columns.max(rows) as f64 / side.max(1) as f64).max(1.0);
        let [width, height] = [columns, rows].map(|n| ((n as f64 / step) as usize).max(1));
        let grey = |x: usize, y: usize| {
            let [x, y] = [x, y].map(|n| ((n as f64 + 0.5) * step) as usize);
            let value = f64::from(values[x.min(columns - 1) + columns * y.min(rows - 1)]);
            (255.0 * (value - low) / (high - low).max(1.0)).clamp(0.0, 255.0) as u8
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| grey(x, y)).collect();
        Some(([width, height], pixels))
    }

    /// Begins to read a series.
    ///
    /// # Errors
    /// [`DicomError`]: an unknown series, or slices that form no rectangular grid.
    pub fn read(self, choice: SeriesChoice) -> Result<SeriesReader, DicomError> {
        SeriesReader::begin(self.survey, self.files, choice)
    }
}

/// The work of one file: the slices of the volume that it fills, each with its frame.
struct Job<'a> {
    image: &'a ImageFile,
    bytes: Cow<'a, [u8]>,
    slices: Vec<(usize, &'a mut [i16])>,
}

impl Job<'_> {
    /// Decodes, and lets go of the file.
    fn run(self) -> Result<Clipping, DicomError> {
        let ImageFile { name, header, .. } = self.image;
        let damaged = || DicomError::Damaged { file: name.clone(), reason: "it cannot be read a second time".into() };
        let set = DataSet::known(&self.bytes, header.start, &header.syntax, header.encoding).map_err(|_| damaged())?;
        let pixels = header.pixels.as_ref().ok_or_else(damaged)?;
        let mut all = Clipping::default();
        for (frame, out) in self.slices {
            all.clipped += pixels::decode(header, &set, pixels, frame, out, name)?.clipped;
        }
        Ok(all)
    }
}

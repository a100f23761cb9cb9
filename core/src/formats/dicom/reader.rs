//! A series read in steps: a few files at a time, so that whoever shows progress can, and whoever has had enough can
//! stop. Its size is known before the first pixel is decoded.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use super::choice::{self, SeriesChoice};
use super::dataset::DataSet;
use super::error::DicomError;
use super::incoming::{Content, Decoded, SeriesFiles};
use super::pixels::{self, Clipping};
use super::repairs::{Repairs, fill};
use super::request::SeriesRequest;
use super::series::{ImageFile, Series, SeriesInfo};
use super::survey::{Survey, hounsfield_doubt};
use crate::parallel::map;
use crate::volume::{CtVolume, Geometry, Volume};

/// Most voxels of a volume: 2 GiB of `i16`.
const MAX_VOXELS: usize = 1 << 30;
/// Files that are decoded in one step, side by side where there are processors for it.
const FILES_PER_STEP: usize = 16;

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
    needs: u64,
    /// Slices that were decoded when they came, and which of them each slice of the grid is; until they are at their places.
    decoded: Option<(Decoded, Vec<Option<usize>>)>,
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
    pub fn open(files: impl Into<SeriesFiles>, request: impl Into<SeriesRequest>) -> Result<Self, DicomError> {
        let SeriesRequest { choice, repairs } = request.into();
        SeriesSurvey::mended(files, repairs)?.read(choice)
    }

    fn begin(survey: Survey, files: SeriesFiles, choice: SeriesChoice) -> Result<Self, DicomError> {
        let (chosen, reasons) = choice::choose(&survey.series, &choice)?;
        let stack = chosen.stack.as_ref().map_err(Clone::clone)?;
        let stored = stack.geometry.clone();
        let acquired = [chosen.info.size[0], chosen.info.size[1], stored.size[2]];
        for &(n, _) in &chosen.slices {
            let image = &survey.images[n];
            pixels::check(&image.header, &image.name)?;
        }
        // The image of each file, and its frames with their places in the grid.
        let mut by_index: BTreeMap<usize, (usize, Vec<(usize, usize)>)> = BTreeMap::new();
        for (&(n, frame), &at) in chosen.slices.iter().zip(&stack.at) {
            by_index.entry(survey.images[n].index).or_insert((n, Vec::new())).1.push((frame, at));
        }
        let had = files.bytes();
        let (files, decoded) = files.into_parts();
        let (mut left, mut places, mut clipped) = (VecDeque::new(), vec![None; acquired[2]], 0);
        // Files of other series are dropped here.
        for (index, file) in files.into_iter().enumerate() {
            match (by_index.remove(&index), file.content) {
                (Some((n, _)), Content::File(bytes)) => left.push_back((n, bytes)),
                (Some((_, frames)), Content::Slices { first }) => {
                    for (frame, at) in frames {
                        places[at] = Some(first + frame);
                        clipped += decoded.clipped(first + frame);
                    }
                }
                (None, _) => {}
            }
        }
        let has_decoded = decoded.size() == chosen.info.size && places.iter().any(Option::is_some);
        let chosen = survey.series.iter().position(|s| std::ptr::eq(s, chosen)).unwrap_or(0);
        let volume = if has_decoded { 0 } else { stored.voxel_count().saturating_mul(size_of::<i16>()) as u64 };
        Ok(Self {
            chosen,
            reasons,
            needs: had.saturating_add(volume),
            stored,
            acquired,
            files: left.len(),
            left,
            decoded: has_decoded.then_some((decoded, places)),
            voxels: Vec::new(),
            clipped,
            survey,
        })
    }

    /// Voxels of the volume along the stored axes.
    pub fn size(&self) -> [usize; 3] {
        self.stored.size
    }

    /// Bytes that lie in memory until the volume is read: of the files, of what is decoded, and of the volume where it gets a room of its own.
    pub fn bytes(&self) -> u64 {
        self.needs
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
            self.voxels = match self.decoded.take() {
                Some((decoded, places)) => {
                    is_possible(&self.stored, self.acquired)?;
                    decoded.arranged(&places).ok_or(DicomError::TooLarge(self.stored.size))?
                }
                None => room(&self.stored, self.acquired)?,
            };
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

/// Refuses a volume that is too large for anybody: of this grid, and of slices of these columns, rows and number.
fn is_possible(stored: &Geometry, acquired: [usize; 3]) -> Result<usize, DicomError> {
    let (count, whole) = (acquired.iter().product::<usize>(), stored.voxel_count());
    if count.max(whole) > MAX_VOXELS { Err(DicomError::TooLarge(stored.size)) } else { Ok(count) }
}

/// Room for the slices as the files have them: columns, rows and slices of `acquired`.
fn room(stored: &Geometry, acquired: [usize; 3]) -> Result<Vec<i16>, DicomError> {
    let count = is_possible(stored, acquired)?;
    // Only to ask whether it is there: zeros that are asked for at once are made where they are first touched, by the threads that decode.
    Vec::<i16>::new().try_reserve_exact(count).map_err(|_| DicomError::TooLarge(stored.size))?;
    Ok(vec![0; count])
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
    let add = |all: Clipping, one: Result<Clipping, _>| Ok(Clipping { clipped: all.clipped + one?.clipped });
    map(jobs, Job::run).into_iter().try_fold(Clipping::default(), add)
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
    files: SeriesFiles,
}

impl std::fmt::Debug for SeriesSurvey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesSurvey").field("files", &self.files).finish_non_exhaustive()
    }
}

impl SeriesSurvey {
    /// Finds the series among the files; no pixel is decoded.
    ///
    /// # Errors
    /// [`DicomError`]: nothing to read, or a damaged file.
    pub fn of(files: impl Into<SeriesFiles>) -> Result<Self, DicomError> {
        Self::mended(files, Repairs::default())
    }

    /// As [`of`](Self::of), with series mended.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn mended(files: impl Into<SeriesFiles>, repairs: Repairs) -> Result<Self, DicomError> {
        let files = files.into();
        Ok(Self { survey: files.survey(repairs)?, files })
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

    /// The middle slice of a series as grey values, at most `side` wide and high: width and height, and the pixels row by row. A CT in
    /// a window of soft tissue and lung, anything else from its lowest to its highest value. `None` where it cannot be decoded.
    pub fn preview(&self, place: usize, side: usize) -> Option<([usize; 2], Vec<u8>)> {
        let series = self.survey.series.get(place)?;
        let &(n, frame) = series.slices.get(series.slices.len() / 2)?;
        let ImageFile { index, header, .. } = self.survey.images.get(n)?;
        self.files.picture_of(*index, header, frame, side)
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

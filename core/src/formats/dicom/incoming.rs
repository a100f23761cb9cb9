//! The files of a series on their way in. Slices can be decoded when they come, and their file be let go: then no more lies in memory than
//! the voxels, which end up as the volume without a second room for them. A large file with many of them never lies in memory whole (`frames`).

use std::sync::Arc;

use super::dataset::DataSet;
use super::error::DicomError;
use super::header::{FileKind, Header};
use super::pixels::{self, Clipping};
use super::preview::picture;
use super::repairs::Repairs;
use super::series::ImageFile;
use super::survey::{Survey, alike, headers, is_copy, kind, survey_of};
use crate::parallel::map;

/// So many slices more find room where more come than were expected, or one for each so many.
const MORE: usize = 16;
/// Bytes of a voxel, once it is decoded.
const VOXEL: usize = size_of::<i16>();

/// Files in the order in which they came, some of them decoded.
#[derive(Default)]
pub struct SeriesFiles {
    files: Vec<SeriesFile>,
    decoded: Decoded,
    /// How many slices may come, and bytes of their files.
    expected: (usize, u64),
}

/// A file that came.
pub(super) struct SeriesFile {
    pub(super) name: String,
    /// What it is; of what should have been a slice and is damaged, why.
    kind: Result<FileKind, String>,
    pub(super) content: Content,
}

/// What is left of a file.
pub(super) enum Content {
    /// All of it.
    File(Vec<u8>),
    /// The place of its first slice among those that are decoded; the others come behind it.
    Slices { first: usize },
}

/// Slices that are decoded, one after the other, all of one size.
#[derive(Default)]
pub(super) struct Decoded {
    /// Columns and rows.
    size: [usize; 2],
    voxels: Vec<i16>,
    /// How many values of each slice were clipped.
    clipped: Vec<usize>,
}

impl std::fmt::Debug for SeriesFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesFiles").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl From<Vec<(String, Vec<u8>)>> for SeriesFiles {
    /// All of them as they are.
    fn from(files: Vec<(String, Vec<u8>)>) -> Self {
        let mut all = Self::default();
        all.extend(files);
        all
    }
}

impl Extend<(String, Vec<u8>)> for SeriesFiles {
    /// Adds files as they are.
    fn extend<I: IntoIterator<Item = (String, Vec<u8>)>>(&mut self, files: I) {
        let files: Vec<(String, Vec<u8>)> = files.into_iter().collect();
        let kinds = headers(&files);
        let file = |((name, bytes), kind)| SeriesFile { name, kind, content: Content::File(bytes) };
        self.files.extend(files.into_iter().zip(kinds).map(file));
    }
}

impl SeriesFiles {
    /// Room will be made for the slices of so many files, or of so many bytes, whichever are fewer, when the first one comes.
    pub fn expect(&mut self, files: usize, bytes: u64) {
        self.expected = (files, bytes);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What they are called, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Bytes that all of this takes: of voxels, and of files that are kept as they are. What is read of the headers comes to it.
    pub fn bytes(&self) -> u64 {
        let kept: u64 = self.files.iter().filter_map(SeriesFile::file).map(|bytes| bytes.len() as u64).sum();
        kept + (self.decoded.voxels.capacity() * VOXEL) as u64
    }

    /// Decodes the slices of a file, `if_smaller` also where they take more memory than it does, and lets go of it. One that cannot be
    /// decoded now is given back: what holds no slices, those of another size than the ones before, or a damaged one, of which
    /// a reader says what is wrong if it is to be read.
    ///
    /// # Errors
    /// The file.
    pub fn decode(&mut self, name: String, bytes: Vec<u8>, if_smaller: bool) -> Result<(), (String, Vec<u8>)> {
        let Some(header) = self.decoded_slices(&name, &bytes, if_smaller) else { return Err((name, bytes)) };
        self.add_decoded(name, header);
        Ok(())
    }

    /// Adds the file whose slices were decoded last.
    pub(super) fn add_decoded(&mut self, name: String, header: Arc<Header>) {
        let first = self.decoded.len() - header.frames.len();
        self.files.push(SeriesFile { name, kind: Ok(FileKind::Image(header)), content: Content::Slices { first } });
    }

    fn decoded_slices(&mut self, name: &str, bytes: &[u8], if_smaller: bool) -> Option<Arc<Header>> {
        let Ok(FileKind::Image(header)) = kind(bytes) else { return None };
        let count = header.frames.len();
        let is_smaller = bytes.len() < header.area().saturating_mul(count).saturating_mul(VOXEL);
        if is_smaller && !if_smaller || !self.may_take(&header) || pixels::check(&header, name).is_err() {
            return None;
        }
        let set = DataSet::known(bytes, header.start, &header.syntax, header.encoding).ok()?;
        let (at, before) = (header.pixels.as_ref()?, self.decoded.len());
        self.make_room(&header)?;
        for frame in 0..count {
            // What is said of an error is said when the file is read.
            let decode = |out: &mut [i16]| pixels::decode(&header, &set, at, frame, out, name).ok();
            if self.decoded.add(header.area(), decode).is_none() {
                self.decoded.shorten(before);
                return None;
            }
        }
        Some(header)
    }

    /// Whether slices of this size can lie with those that are decoded.
    pub(super) fn may_take(&self, header: &Header) -> bool {
        header.area() > 0 && (self.decoded.len() == 0 || [header.columns, header.rows] == self.decoded.size)
    }

    /// Room for the slices of a file; `None` where there is none.
    pub(super) fn make_room(&mut self, header: &Header) -> Option<()> {
        let (area, count, have) = (header.area(), header.frames.len(), self.decoded.len());
        self.decoded.size = [header.columns, header.rows];
        let voxels = &mut self.decoded.voxels;
        if voxels.capacity() < have.checked_add(count)?.checked_mul(area)? {
            let (files, bytes) = self.expected;
            let slice = area.saturating_mul(VOXEL);
            let slices = files.min(usize::try_from(bytes / slice as u64).unwrap_or(usize::MAX));
            let least = if have == 0 { count } else { count.max(MORE).max(have / MORE) };
            let more = slices.saturating_sub(have).max(least);
            let reserve =
                |voxels: &mut Vec<i16>, slices: usize| voxels.try_reserve_exact(area.checked_mul(slices)?).ok();
            reserve(voxels, more).or_else(|| reserve(voxels, count))?;
        }
        Some(())
    }

    /// The slices that are decoded.
    pub(super) fn decoded(&mut self) -> &mut Decoded {
        &mut self.decoded
    }

    /// A slice as grey values, at most `side` wide and high: width and height, and the pixels row by row. `None` where the file is no slice, or
    /// cannot be decoded.
    pub fn picture(&self, n: usize, side: usize) -> Option<([usize; 2], Vec<u8>)> {
        let Ok(FileKind::Image(header)) = &self.files.get(n)?.kind else { return None };
        self.picture_of(n, header, 0, side)
    }

    /// A frame of a file, as grey values.
    pub(super) fn picture_of(
        &self,
        n: usize,
        header: &Header,
        frame: usize,
        side: usize,
    ) -> Option<([usize; 2], Vec<u8>)> {
        let SeriesFile { name, content, .. } = self.files.get(n)?;
        let size = [header.columns, header.rows];
        let is_ct = header.modality == "CT";
        match content {
            Content::Slices { first } => Some(picture(self.decoded.slice(first + frame)?, size, is_ct, side)),
            Content::File(bytes) => {
                pixels::check(header, name).ok()?;
                let set = DataSet::open(bytes).ok()?;
                if size[0] == 0 || size[1] == 0 || size[0].saturating_mul(size[1]) > 1 << 26 {
                    return None;
                }
                let mut values = vec![0i16; size[0] * size[1]];
                pixels::decode(header, &set, header.pixels.as_ref()?, frame, &mut values, name).ok()?;
                Some(picture(&values, size, is_ct, side))
            }
        }
    }

    /// What there is.
    pub(super) fn survey(&self, repairs: Repairs) -> Result<Survey, DicomError> {
        let kinds = self.files.iter().map(|file| match &file.kind {
            Ok(kind) => Ok((file.name.as_str(), Some(kind.clone()))),
            Err(reason) => Err(DicomError::Damaged { file: file.name.clone(), reason: reason.clone() }),
        });
        survey_of(kinds.collect::<Result<_, _>>()?, &|a, b| self.are_same(a, b), repairs)
    }

    fn are_same(&self, a: &ImageFile, b: &ImageFile) -> bool {
        let content = |image: &ImageFile| Some(&self.files.get(image.index)?.content);
        match (content(a), content(b)) {
            (Some(Content::File(first)), Some(Content::File(second))) => is_copy(a, first, b, second),
            (Some(Content::Slices { first: m }), Some(Content::Slices { first: n })) => {
                let count = a.header.frames.len();
                alike(a, b) && (0..count).all(|k| self.decoded.slice(m + k) == self.decoded.slice(n + k))
            }
            _ => false,
        }
    }

    /// The files, in their order, and the slices that are decoded.
    pub(super) fn into_parts(self) -> (Vec<SeriesFile>, Decoded) {
        (self.files, self.decoded)
    }
}

impl SeriesFile {
    /// The contents, where they are kept.
    fn file(&self) -> Option<&[u8]> {
        match &self.content {
            Content::File(bytes) => Some(bytes),
            Content::Slices { .. } => None,
        }
    }
}

impl Decoded {
    /// Columns and rows of each slice.
    pub(super) fn size(&self) -> [usize; 2] {
        self.size
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.clipped.len()
    }

    /// How many values of a slice were clipped.
    pub(super) fn clipped(&self, place: usize) -> usize {
        self.clipped.get(place).copied().unwrap_or_default()
    }

    /// One more, of `area` pixels, which `decode` fills; `None` where it does not.
    fn add(&mut self, area: usize, decode: impl FnOnce(&mut [i16]) -> Option<Clipping>) -> Option<()> {
        let start = self.voxels.len();
        self.voxels.resize(start + area, 0);
        self.clipped.push(decode(self.voxels.get_mut(start..)?)?.clipped);
        Some(())
    }

    /// More of them, decoded side by side; `None` where one cannot be.
    pub(super) fn add_all<T: Send>(
        &mut self,
        all: Vec<T>,
        decode: impl Fn(T, &mut [i16]) -> Option<Clipping> + Sync + Send,
    ) -> Option<()> {
        let (area, start) = (self.area(), self.voxels.len());
        self.voxels.resize(start + all.len() * area, 0);
        let outs = self.voxels.get_mut(start..)?.chunks_exact_mut(area.max(1));
        let done = map(all.into_iter().zip(outs).collect(), |(one, out)| decode(one, out));
        for clipping in done {
            self.clipped.push(clipping?.clipped);
        }
        Some(())
    }

    /// Only the first ones.
    pub(super) fn shorten(&mut self, count: usize) {
        self.voxels.truncate(count * self.area());
        self.clipped.truncate(count);
    }

    fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }

    fn slice(&self, place: usize) -> Option<&[i16]> {
        self.voxels.get(place * self.area()..(place + 1) * self.area())
    }

    /// The slices in another order: those of the places in `wanted`, and slices of zeros where it has none. No place comes twice. Those that
    /// nobody wants are dropped. `None` where there is no memory for more slices than there are.
    pub(super) fn arranged(mut self, wanted: &[Option<usize>]) -> Option<Vec<i16>> {
        let area = self.area();
        let count = wanted.len() * area;
        let missing = count.saturating_sub(self.voxels.len());
        self.voxels.try_reserve_exact(missing).ok()?;
        self.voxels.resize(self.voxels.len() + missing, 0);
        // Where each slice lies by now, and which lies at each place.
        let mut at: Vec<usize> = (0..self.voxels.len() / area.max(1)).collect();
        let mut lies = at.clone();
        for (to, &slice) in wanted.iter().enumerate().filter_map(|(to, slice)| Some((to, slice.as_ref()?))) {
            let from = *at.get(slice)?;
            self.swap(from, to);
            lies.swap(from, to);
            at[lies[from]] = from;
            at[lies[to]] = to;
        }
        for (place, _) in wanted.iter().enumerate().filter(|(_, slice)| slice.is_none()) {
            self.voxels[place * area..(place + 1) * area].fill(0);
        }
        self.voxels.truncate(count);
        self.voxels.shrink_to_fit();
        Some(self.voxels)
    }

    fn swap(&mut self, a: usize, b: usize) {
        let (low, high, area) = (a.min(b), a.max(b), self.area());
        if low != high {
            let (front, back) = self.voxels.split_at_mut(high * area);
            front[low * area..(low + 1) * area].swap_with_slice(&mut back[..area]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_brought_into_any_order_in_place() {
        let size = [2, 1];
        let voxels: Vec<i16> = (0..5).flat_map(|n| [10 * n, 10 * n + 1]).collect();
        for (wanted, expected) in [
            (vec![Some(0), Some(1), Some(2), Some(3), Some(4)], vec![0, 1, 2, 3, 4]),
            (vec![Some(4), Some(3), Some(2), Some(1), Some(0)], vec![4, 3, 2, 1, 0]),
            (vec![Some(1), Some(2), Some(3), Some(4), Some(0)], vec![1, 2, 3, 4, 0]),
            (vec![Some(3), Some(1)], vec![3, 1]),
            (vec![None, Some(0), None, Some(4), Some(2), None, Some(1)], vec![-1, 0, -1, 4, 2, -1, 1]),
            (vec![Some(2), None, Some(0), None], vec![2, -1, 0, -1]),
            (vec![], vec![]),
        ] {
            let slice = |n: i16| if n < 0 { [0, 0] } else { [10 * n, 10 * n + 1] };
            let expected: Vec<i16> = expected.into_iter().flat_map(slice).collect();
            let decoded = Decoded { size, voxels: voxels.clone(), clipped: vec![0; 5] };
            let arranged = decoded.arranged(&wanted).unwrap();
            assert_eq!(arranged, expected, "{wanted:?}");
        }
    }
}

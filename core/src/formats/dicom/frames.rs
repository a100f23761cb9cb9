//! A file with many frames on its way in, piece by piece: no more of it lies in memory than its header and some frames. A page has no room
//! for a file beside its voxels, and what it took for one it never gives back.
//!
//! What is said of a file that cannot be read so is left to the reader that has all of it.

use std::io::{self, BufReader, Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use dicom_dictionary_std::uids;

use super::dataset::{DataSet, PixelBytes, offset_table};
use super::header::{FileKind, Header};
use super::incoming::SeriesFiles;
use super::pixels;
use super::survey::kind;
use super::walk::{EXPLICIT_LE, ITEM, UNDEFINED, element};

/// How much of a file is looked at for its header, first and last: what is said of some thousand frames takes megabytes.
const HEADS: [usize; 4] = [1 << 20, 1 << 22, 1 << 24, 1 << 26];
/// Bytes that are asked for together.
const PIECE: usize = 1 << 22;
/// Frames that are decoded in one step, side by side where there are processors for it.
const FRAMES_PER_STEP: usize = 16;
/// Bytes of what stands before an item.
const ITEM_HEAD: usize = 8;

/// A file with many frames on its way in.
pub struct FrameReader {
    name: String,
    header: Header,
    input: BufReader<Box<dyn Read>>,
    pixels: Pixels,
    /// Frames that are decoded, and slices that were before them.
    done: usize,
    before: usize,
}

/// What a step of it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameStep {
    /// There are more frames.
    More,
    /// The slices are among those of the series.
    Done,
    /// It can only be read whole; nothing of it is kept. Whoever has all of it says what is wrong with it, if anything is.
    Whole,
}

/// How the pixels of its frames lie behind each other.
enum Pixels {
    Native,
    Encapsulated(Fragments),
}

/// Compressed frames, in one fragment or several each (PS3.5 A.4).
struct Fragments {
    /// The next item, and the end of the file, within the data set.
    at: usize,
    end: usize,
    /// Where the first fragment begins, with the item.
    origin: usize,
    table: Vec<u32>,
    /// Whether the table tells where frames begin; each has a fragment of its own otherwise.
    by_table: bool,
    found: Vec<Range<usize>>,
    /// A fragment that was read and belongs to the next frame.
    next: Option<Vec<u8>>,
    is_over: bool,
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameReader").field("done", &self.done).finish_non_exhaustive()
    }
}

impl FrameReader {
    /// Begins with a file of `bytes` bytes, `if_smaller` also where its voxels take more memory than it does. `None` for what has not several
    /// frames of a scan, or can only be read whole.
    ///
    /// # Errors
    /// What the input says.
    pub fn open(name: String, mut input: Box<dyn Read>, bytes: u64, if_smaller: bool) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let Some(header) = header_of(&mut input, &mut head)? else { return Ok(None) };
        let set = DataSet::known(&head, header.start, &header.syntax, header.encoding).ok();
        let Some(element) = set.and_then(|set| set.pixel_element()) else { return Ok(None) };
        let Ok(end) = usize::try_from(bytes.saturating_sub(header.start as u64)) else { return Ok(None) };
        let value = element.value;
        let is_native = element.length != UNDEFINED;
        // As if all of it were there; of fragments nobody knows yet where they lie.
        let header = Header {
            pixels: Some(match value.checked_add(element.length as usize) {
                Some(last) if is_native && last <= end => PixelBytes::Native(value..last),
                _ if is_native || value >= end => return Ok(None),
                _ => PixelBytes::Encapsulated { offsets: Vec::new(), fragments: std::iter::once(value..end).collect() },
            }),
            ..header
        };
        let count = header.frames.len();
        let is_smaller = bytes < (header.area() as u64).saturating_mul(2 * count as u64);
        if count < 2 || is_smaller && !if_smaller || pixels::check(&header, &name).is_err() {
            return Ok(None);
        }
        let rest = head.split_off((header.start + value).min(head.len()));
        let mut input = BufReader::with_capacity(PIECE, Box::new(Cursor::new(rest).chain(input)) as Box<dyn Read>);
        let pixels = if is_native {
            Pixels::Native
        } else {
            match Fragments::begin(&mut input, value, end, count)? {
                Some(fragments) => Pixels::Encapsulated(fragments),
                None => return Ok(None),
            }
        };
        Ok(Some(Self { name, header, input, pixels, done: 0, before: 0 }))
    }

    /// Voxels that it has.
    pub fn voxels(&self) -> u64 {
        (self.header.area() as u64).saturating_mul(self.header.frames.len() as u64)
    }

    /// How much of it is decoded, 0 to 1.
    pub fn part(&self) -> f32 {
        self.done as f32 / self.header.frames.len() as f32
    }

    /// Decodes some frames; the last step adds the file to `files`. No other may be added in between.
    pub fn step(&mut self, files: &mut SeriesFiles) -> FrameStep {
        match self.some(files) {
            Some(true) => FrameStep::More,
            Some(false) => FrameStep::Done,
            None => {
                files.decoded().shorten(self.before);
                FrameStep::Whole
            }
        }
    }

    /// Whether there are more; `None` where it can only be read whole.
    fn some(&mut self, files: &mut SeriesFiles) -> Option<bool> {
        let count = self.header.frames.len();
        if self.done == 0 {
            self.before = files.decoded().len();
            if !files.may_take(&self.header) {
                return None;
            }
            files.make_room(&self.header)?;
        }
        let frames = self.done..count.min(self.done + FRAMES_PER_STEP);
        let mut read = Vec::with_capacity(frames.len());
        for frame in frames {
            read.push((self.header.frames.get(frame)?, self.pixels.next(&mut self.input, &self.header)?));
        }
        self.done += read.len();
        let (header, is_native) = (&self.header, matches!(self.pixels, Pixels::Native));
        files.decoded().add_all(read, |(frame, bytes), out| {
            if is_native {
                Some(pixels::of_cells(header, frame, &bytes, out))
            } else {
                pixels::of_stream(header, frame, bytes, out).ok()
            }
        })?;
        if self.done < count {
            return Some(true);
        }
        if let Pixels::Encapsulated(fragments) = &mut self.pixels {
            self.header.pixels = Some(fragments.finish(&mut self.input)?);
        }
        files.add_decoded(std::mem::take(&mut self.name), Arc::new(self.header.clone()));
        Some(false)
    }
}

/// The header of a file with slices, by as much of it as that takes, which is left in `head`.
fn header_of(input: &mut dyn Read, head: &mut Vec<u8>) -> io::Result<Option<Header>> {
    for most in HEADS {
        let wanted = most - head.len();
        let read = (&mut *input).take(wanted as u64).read_to_end(head)?;
        match kind(head) {
            // What is deflated is inflated whole.
            Ok(FileKind::Image(header)) if header.syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => break,
            // Pixels are the last that it has; before they are seen there may be anything.
            Ok(FileKind::Image(header)) if header.pixels.is_some() => return Ok(Some(Arc::unwrap_or_clone(header))),
            Ok(FileKind::Image(_)) | Err(_) if read == wanted => {}
            _ => break,
        }
    }
    Ok(None)
}

impl Pixels {
    /// The bytes of the next frame; `None` where they are not there.
    fn next(&mut self, input: &mut impl Read, header: &Header) -> Option<Vec<u8>> {
        match self {
            Self::Native => bytes_of(input, pixels::frame_bytes(header)),
            Self::Encapsulated(fragments) => fragments.next(input),
        }
    }
}

/// So many bytes; `None` where there are fewer.
fn bytes_of(input: &mut impl Read, count: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count).ok()?;
    bytes.resize(count, 0);
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

impl Fragments {
    /// Reads the offset table.
    fn begin(input: &mut impl Read, at: usize, end: usize, frames: usize) -> io::Result<Option<Self>> {
        let mut fragments = Self {
            at,
            end,
            origin: 0,
            table: Vec::new(),
            by_table: false,
            found: Vec::new(),
            next: None,
            is_over: false,
        };
        let Some(table) = fragments.item(input) else { return Ok(None) };
        let table = offset_table(&table);
        fragments.found.clear();
        fragments.origin = fragments.at;
        fragments.by_table = table.len() == frames && table.first() == Some(&0) && table.is_sorted_by(|a, b| a < b);
        fragments.table = table;
        Ok(Some(fragments))
    }

    /// The next item; `None` at the end, and where it is cut off: then it is not over.
    fn item(&mut self, input: &mut impl Read) -> Option<Vec<u8>> {
        if self.is_over || self.at >= self.end {
            // Many files end without a delimiter.
            self.is_over = true;
            return None;
        }
        let head = bytes_of(input, ITEM_HEAD)?;
        let item = element(&head, 0, EXPLICIT_LE).ok()?;
        if item.tag != ITEM {
            self.is_over = true;
            return None;
        }
        let value = self.at + ITEM_HEAD;
        let last =
            value.checked_add(item.length as usize).filter(|&last| item.length != UNDEFINED && last <= self.end)?;
        let bytes = bytes_of(input, item.length as usize)?;
        self.found.push(value..last);
        self.at = last;
        Some(bytes)
    }

    /// The compressed stream of the next frame.
    fn next(&mut self, input: &mut impl Read) -> Option<Vec<u8>> {
        let mut stream = match self.next.take() {
            Some(first) => first,
            None => self.item(input)?,
        };
        while self.by_table {
            // The item that comes may begin another frame.
            let begins = u32::try_from(self.at - self.origin).ok()?;
            let Some(more) = self.item(input) else { return self.is_over.then_some(stream) };
            if self.table.binary_search(&begins).is_ok() {
                self.next = Some(more);
                return Some(stream);
            }
            stream.extend_from_slice(&more);
        }
        Some(stream)
    }

    /// Where all of them lie, if there are no more than the frames have.
    fn finish(&mut self, input: &mut impl Read) -> Option<PixelBytes> {
        let is_more = self.next.is_some() || self.item(input).is_some();
        let pixels = || PixelBytes::Encapsulated {
            offsets: std::mem::take(&mut self.table),
            fragments: std::mem::take(&mut self.found),
        };
        (!is_more && self.is_over).then(pixels)
    }
}

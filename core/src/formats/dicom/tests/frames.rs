//! Files with many frames that are read piece by piece: compressed frames in one fragment or several, with a table or without, and what of
//! the file lies in memory meanwhile.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions};

use super::super::dataset::PixelBytes;
use super::super::{FrameReader, FrameStep, SeriesChoice, SeriesFiles, SeriesReader};
use super::{DataSet, FileKind, SliceFile, archive, decode_slice, header, read_series};

/// Whether a file of many frames was read piece by piece into `files`; what of it did not go so is not there.
pub(super) fn read(files: &mut SeriesFiles, name: &str, bytes: &[u8], if_smaller: bool) -> bool {
    let (input, count) = (Box::new(Cursor::new(bytes.to_vec())), files.len());
    let opened = FrameReader::open(name.into(), input, bytes.len() as u64, if_smaller).unwrap();
    let Some(mut reader) = opened else { return false };
    let last = loop {
        match reader.step(files) {
            FrameStep::More => {}
            last => break last,
        }
    };
    assert_eq!(files.len(), count + usize::from(last == FrameStep::Done));
    last == FrameStep::Done
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> dicom_object::mem::InMemElement {
    DataElement::new(tag, VR::SQ, Value::Sequence(DataSetSequence::new(items, Length::UNDEFINED)))
}

/// Frames at these places along z, each with an intercept of its own.
fn described(count: usize) -> Vec<InMemDicomObject> {
    let number = |tag, values: &[f64]| {
        let texts: Vec<String> = values.iter().map(|v| v.to_string()).collect();
        DataElement::new(tag, VR::DS, PrimitiveValue::Strs(texts.into()))
    };
    let group = |tag, element| sequence(tag, vec![InMemDicomObject::from_element_iter([element])]);
    let frame = |k: usize| {
        // Downwards, so that no frame lies at its own place in the volume.
        let position = number(tags::IMAGE_POSITION_PATIENT, &[0.0, 0.0, -3.0 * k as f64]);
        let intercept = number(tags::RESCALE_INTERCEPT, &[-1024.0 - k as f64]);
        InMemDicomObject::from_element_iter([
            group(tags::PLANE_POSITION_SEQUENCE, position),
            group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, intercept),
        ])
    };
    (0..count).map(frame).collect()
}

/// A file of `count` frames without compression, of `side` x `side` pixels; frame k has the value -k HU.
fn native(count: usize, side: u16) -> Vec<u8> {
    SliceFile::axial(1, 0.0, side, side)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &count.to_string())
        .element(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, described(count)))
        .pixels(&vec![1024; count * usize::from(side).pow(2)])
        .write()
}

/// The compressed slices of another program, and their values.
fn slices() -> Vec<(Vec<u8>, Vec<i16>)> {
    let stream = |bytes: &[u8]| {
        let Ok(FileKind::Image(header)) = header::read(bytes) else { panic!("a slice") };
        let Some(PixelBytes::Encapsulated { fragments, .. }) = &header.pixels else { panic!("compressed") };
        let set = DataSet::open(bytes).unwrap();
        fragments.iter().flat_map(|range| set.bytes[range.clone()].to_vec()).collect()
    };
    archive("ct-dicom-jpeg2000").iter().map(|(_, bytes)| (stream(bytes), decode_slice(bytes).unwrap())).collect()
}

/// What the offset table of a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Table {
    Empty,
    Right,
    Zeros,
    Shifted,
}

/// One file of compressed frames, each in so many fragments, with a delimiter behind the last.
fn encapsulated(streams: &[Vec<u8>], fragments: usize, table: Table) -> Vec<u8> {
    let (_, bytes) = archive("ct-dicom-jpeg2000").swap_remove(0);
    let mut object = OpenFileOptions::new().from_reader(Cursor::new(bytes)).unwrap();
    object.remove_element(tags::PIXEL_DATA);
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from(streams.len().to_string())));
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, described(streams.len())));
    let mut file = Vec::new();
    object.write_all(&mut file).unwrap();
    let item = |value: &[u8]| {
        let length = (value.len() as u32).to_le_bytes();
        [&[0xFE, 0xFF, 0x00, 0xE0], &length[..], value].concat()
    };
    let (mut items, mut offsets) = (Vec::new(), Vec::new());
    for stream in streams {
        let offset = items.len() as u32;
        offsets.extend(match table {
            Table::Empty => None,
            Table::Right => Some(offset),
            Table::Zeros => Some(0),
            Table::Shifted => Some(offset + u32::from(offset > 0)),
        });
        let even = stream.len().div_ceil(fragments).next_multiple_of(2);
        stream.chunks(even).for_each(|piece| items.extend(item(piece)));
    }
    let offsets: Vec<u8> = offsets.into_iter().flat_map(u32::to_le_bytes).collect();
    file.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    file.extend(item(&offsets));
    file.extend(items);
    file.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    file
}

#[test]
fn compressed_frames_are_those_of_their_slices_however_they_are_cut() {
    let (streams, values): (Vec<_>, Vec<_>) = slices().into_iter().unzip();
    let n = streams.len();
    for (fragments, table, in_pieces) in [
        (1, Table::Empty, true),
        (1, Table::Right, true),
        (1, Table::Zeros, true),
        (3, Table::Right, true),
        // Which fragments belong together can only be told when all are there.
        (1, Table::Shifted, false),
    ] {
        let what = format!("{fragments} {table:?}");
        let bytes = encapsulated(&streams, fragments, table);
        for if_smaller in [true, false] {
            let mut files = SeriesFiles::default();
            let is_read = read(&mut files, "frames", &bytes, if_smaller);
            assert_eq!(is_read, in_pieces && if_smaller, "{what}: voxels take more than the file");
        }
        // One delimiter less, as many programs write it.
        for bytes in [&bytes[..], &bytes[..bytes.len() - 8]] {
            let (ct, info, _) = read_series(vec![("frames".into(), bytes.to_vec())], SeriesChoice::Best).unwrap();
            assert_eq!(
                info.instances.iter().map(|i| i.frame).collect::<Vec<_>>(),
                [Some(4), Some(3), Some(2), Some(1)]
            );
            for (k, values) in values.iter().enumerate() {
                let shift = decode_shift(&values[..], ct.slice(n - 1 - k));
                assert_eq!(shift, Some(k as i16), "{what}: frame {k}");
            }
        }
    }
}

/// By how much every value lies below the slice's own.
fn decode_shift(slice: &[i16], frame: &[i16]) -> Option<i16> {
    let shift = slice.first()? - frame.first()?;
    slice.iter().zip(frame).all(|(a, b)| a - b == shift).then_some(shift)
}

#[test]
fn what_is_wrong_with_a_file_of_many_frames_is_said_as_of_a_whole_one() {
    let streams: Vec<Vec<u8>> = slices().into_iter().map(|slice| slice.0).collect();
    let broken = {
        let mut streams = streams.clone();
        streams[2].truncate(40);
        streams
    };
    for (bytes, said) in [
        (encapsulated(&streams, 3, Table::Empty), "no table tells them apart"),
        (encapsulated(&streams, 3, Table::Shifted), "does not fit the fragments"),
        (encapsulated(&broken, 1, Table::Empty), "frames"),
        (native(8, 64)[..40_000].to_vec(), "the file ends before they do"),
    ] {
        for whole in [bytes.clone(), bytes[..bytes.len() - 100].to_vec()] {
            assert!(!read(&mut SeriesFiles::default(), "frames", &whole, true), "{said}");
        }
        let error = read_series(vec![("frames".into(), bytes)], SeriesChoice::Best).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// An input that counts what was read of it.
struct Counted(Cursor<Vec<u8>>, Arc<AtomicUsize>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }
}

#[test]
fn no_more_of_a_file_is_read_than_the_next_frames_take_and_other_files_may_come_before_and_after() {
    let (count, side) = (200, 128);
    let frame = 2 * side * side;
    let bytes = native(count, side as u16);
    let come = Arc::new(AtomicUsize::new(0));
    let input = Box::new(Counted(Cursor::new(bytes.clone()), come.clone()));
    let mut files = SeriesFiles::default();
    files.extend([("notes.txt".to_owned(), b"Secret notes".to_vec())]);
    let mut reader = FrameReader::open("frames".into(), input, bytes.len() as u64, false).unwrap().unwrap();
    assert_eq!(reader.voxels(), (count * side * side) as u64);
    let before = come.load(Ordering::Relaxed);
    assert!(before < bytes.len() / 3, "{before} bytes for the header");
    let mut steps = 0;
    while reader.step(&mut files) == FrameStep::More {
        steps += 1;
        let decoded = 16 * steps * frame;
        let read = come.load(Ordering::Relaxed);
        assert!(read <= before.max(decoded) + (5 << 20), "{read} bytes of {decoded}");
        assert_eq!(reader.part(), (16 * steps) as f32 / count as f32);
    }
    // The volume, and nothing of the file.
    assert_eq!(files.bytes(), (count * frame + b"Secret notes".len()) as u64);
    // A slice that goes on where the frames end.
    let next = SliceFile::axial(2, 3.0, side as u16, side as u16).pixels(&vec![1031; side * side]).write();
    files.decode("next".into(), next, true).unwrap();
    let mut reader = SeriesReader::open(files, SeriesChoice::Best).unwrap();
    while reader.step().unwrap() {}
    let (ct, ..) = reader.finish().unwrap();
    assert_eq!(ct.geometry.size, [side, side, count + 1]);
    for k in 0..count {
        assert!(ct.slice(count - 1 - k).iter().all(|&v| v == -(k as i16)), "frame {k}");
    }
    assert!(ct.slice(count).iter().all(|&v| v == 7));
}

#[test]
fn what_has_not_many_frames_of_a_scan_is_none_of_them() {
    let slice = SliceFile::axial(1, 0.0, 64, 64).write();
    let structures = SliceFile::axial(1, 0.0, 64, 64).text(tags::MODALITY, VR::CS, "RTDOSE").write();
    for other in [slice, structures, b"Secret notes".to_vec(), Vec::new()] {
        let input = Box::new(Cursor::new(other.clone()));
        assert!(FrameReader::open("other".into(), input, other.len() as u64, true).unwrap().is_none());
    }
    // Of another size than the slices that are there.
    let mut files = SeriesFiles::default();
    files.decode("slice".into(), SliceFile::axial(1, 9.0, 64, 64).write(), true).unwrap();
    assert!(!read(&mut files, "frames", &native(4, 32), true));
    assert_eq!((files.len(), files.bytes()), (1, 2 * 64 * 64));
}

//! What the reader promises, on files of other programs (`real`), on a phantom with a closed form (`phantom`), on slices
//! that are made wrong one way at a time (`refusals`) and mended (`repairs`), on folders as people reported them (`reported`) and on damaged bytes
//! (`fuzz`). All of it is read twice: file by file when all are there, and slice by slice as they come (`incoming`, `frames`).

mod frames;
mod fuzz;
mod incoming;
mod phantom;
mod real;
mod refusals;
mod repairs;
mod reported;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::dataset::DataSet;
use super::header::{self, FileKind};
use super::{DicomError, SeriesFiles, SeriesInfo, SeriesReader, SeriesRequest, pixels};
use crate::formats::archive::unzip;
use crate::volume::CtVolume;

/// The files of `tests/data/NAME.zip`, without folders in their names.
fn archive(name: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!("{}/../tests/data/{name}.zip", env!("CARGO_MANIFEST_DIR"));
    unzip(&std::fs::read(path).unwrap(), 64 << 20).unwrap()
}

/// The files of one folder of an archive.
fn folder(name: &str, folder: &str) -> Vec<(String, Vec<u8>)> {
    let prefix = format!("{folder}/");
    let files: Vec<_> = archive(name).into_iter().filter(|(n, _)| n.starts_with(&prefix)).collect();
    assert!(!files.is_empty(), "{folder} is in {name}");
    files
}

/// What was read: the volume, its series, and all series.
type Read = Result<(CtVolume, SeriesInfo, Vec<SeriesInfo>), DicomError>;

/// As [`super::read_series`]; and whoever decodes slices when they come, all of them or those that it makes no larger, gets the same, with
/// files of many frames read piece by piece or whole.
fn read_series(files: Vec<(String, Vec<u8>)>, request: impl Into<SeriesRequest>) -> Read {
    let request = request.into();
    let read = super::read_series(files.clone(), &request);
    for (if_smaller, in_pieces) in [(true, true), (false, false)] {
        let come = read_as_they_come(files.clone(), &request, if_smaller, in_pieces);
        assert_eq!(come, read, "{if_smaller}, {in_pieces}");
    }
    read
}

fn read_as_they_come(
    files: Vec<(String, Vec<u8>)>,
    request: &SeriesRequest,
    if_smaller: bool,
    in_pieces: bool,
) -> Read {
    let mut incoming = SeriesFiles::default();
    incoming.expect(files.len(), u64::MAX);
    for (name, bytes) in files {
        if in_pieces && frames::read(&mut incoming, &name, &bytes, if_smaller) {
            continue;
        }
        let left = incoming.decode(name, bytes, if_smaller).err();
        incoming.extend(left);
    }
    let mut reader = SeriesReader::open(incoming, request)?;
    while reader.step()? {}
    reader.finish()
}

/// The only slice of a file, rescaled, with nothing asked of its geometry.
fn decode_slice(bytes: &[u8]) -> Result<Vec<i16>, DicomError> {
    let damaged = |reason: &str| DicomError::Damaged { file: "slice".into(), reason: reason.into() };
    let Ok(FileKind::Image(header)) = header::read(bytes) else { return Err(damaged("no image")) };
    pixels::check(&header, "slice")?;
    let set = DataSet::open(bytes).map_err(|_| damaged("not open"))?;
    let mut out = vec![0; header.columns * header.rows];
    pixels::decode(&header, &set, header.pixels.as_ref().unwrap(), 0, &mut out, "slice")?;
    Ok(out)
}

/// A CT slice to be changed and written.
#[derive(Clone)]
struct SliceFile(InMemDicomObject);

impl SliceFile {
    /// An axial slice of `columns` x `rows` pixels of stored value 1024 (0 HU) at height `z` mm, number `n` of series
    /// 1.2.3.
    fn axial(n: usize, z: f64, columns: u16, rows: u16) -> Self {
        let mut object = InMemDicomObject::new_empty();
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        object.put(text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE));
        object.put(text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{n}")));
        object.put(text(tags::MODALITY, VR::CS, "CT"));
        object.put(text(tags::PATIENT_NAME, VR::PN, "Secret^Name"));
        object.put(text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2"));
        object.put(text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3"));
        object.put(text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.4"));
        object.put(text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"));
        let mut slice = Self(object)
            .numbers(tags::IMAGE_POSITION_PATIENT, &[0.0, 0.0, z])
            .numbers(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
            .numbers(tags::PIXEL_SPACING, &[2.0, 2.0])
            .numbers(tags::RESCALE_SLOPE, &[1.0])
            .numbers(tags::RESCALE_INTERCEPT, &[-1024.0]);
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, rows),
            (tags::COLUMNS, columns),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            slice = slice.unsigned(tag, value);
        }
        slice.pixels(&vec![1024; usize::from(columns) * usize::from(rows)])
    }

    fn numbers(self, tag: Tag, values: &[f64]) -> Self {
        let texts: Vec<String> = values.iter().map(|v| format!("{v}")).collect();
        self.element(DataElement::new(tag, VR::DS, PrimitiveValue::Strs(texts.into())))
    }

    fn unsigned(self, tag: Tag, value: u16) -> Self {
        self.element(DataElement::new(tag, VR::US, PrimitiveValue::from(value)))
    }

    fn text(self, tag: Tag, vr: VR, value: &str) -> Self {
        self.element(DataElement::new(tag, vr, dicom_value!(Str, value)))
    }

    fn pixels(self, stored: &[u16]) -> Self {
        self.element(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.iter().copied().collect())))
    }

    fn element(mut self, element: dicom_object::mem::InMemElement) -> Self {
        self.0.put(element);
        self
    }

    fn without(mut self, tag: Tag) -> Self {
        self.0.remove_element(tag);
        self
    }

    fn write_as(&self, syntax: &str) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
        let mut bytes = Vec::new();
        self.0.clone().with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }

    fn write(&self) -> Vec<u8> {
        self.write_as(uids::EXPLICIT_VR_LITTLE_ENDIAN)
    }
}

/// `n` axial slices, `spacing` mm apart, with a change made to each.
fn series(n: usize, spacing: f64, change: impl Fn(usize, SliceFile) -> SliceFile) -> Vec<(String, Vec<u8>)> {
    let slice = |k: usize| change(k, SliceFile::axial(k, k as f64 * spacing, 6, 4)).write();
    (0..n).map(|k| (format!("{k}.dcm"), slice(k))).collect()
}

//! Voxels out, on exactly the grid that came in.

use super::NiftiError;
use super::fields::FIRST_BYTES;
use super::header::qform_affine;
use crate::anatomy::Organ;
use crate::formats::gzip;
use crate::formats::samples::{SampleType, Stored, damaged};
use crate::volume::{Affine, CtVolume, Geometry, LabelVolume, Volume};

/// Header and extender: where the voxels of a single file start at the earliest.
const SINGLE_FILE_OFFSET: usize = FIRST_BYTES + 4;

/// `NIFTI_INTENT_LABEL`: each voxel is an index into some set of labels.
const INTENT_LABEL: i16 = 1002;
/// `NIFTI_ECODE_CARET`: the XML of the Connectome Workbench.
const ECODE_CARET: i32 = 30;
/// `NIFTI_ECODE_COMMENT`: plain text.
const ECODE_COMMENT: i32 = 6;
/// `NIFTI_XFORM_SCANNER_ANAT`: coordinates of the scanner, that is of the patient frame of the CT.
const SCANNER_ANAT: i16 = 1;
/// Of `xyzt_units`: lengths are in mm (`NIFTI_UNITS_MM`).
const UNITS_MM: u8 = 2;
/// The qform is written only if it puts every corner this close to its place, in mm.
const QFORM_TOLERANCE_MM: f64 = 0.01;

/// A label map as `.nii.gz` (uint8) on the grid of the file that the volume came from.
///
/// sform and qform both hold the orientation, in scanner coordinates. The sform equals the one that was read bit for
/// bit where that was in mm; the qform is left out (code 0) for a grid that no rotation describes. `description` goes
/// into `descrip`, cut to 79 bytes.
///
/// # Errors
/// [`NiftiError::TooLarge`] beyond 32767 voxels along an axis.
pub fn write_labels(volume: &LabelVolume, description: &str) -> Result<Vec<u8>, NiftiError> {
    write(volume, INTENT_LABEL, description)
}

/// As [`write_labels`], of a map with the numbers of the anatomy table: their names lie behind the header, in the table that
/// TotalSegmentator and Connectome Workbench write, too. `comment` is put beside them as text.
///
/// # Errors
/// [`NiftiError::TooLarge`] beyond 32767 voxels along an axis.
pub fn write_organs(volume: &LabelVolume, description: &str, comment: Option<&str>) -> Result<Vec<u8>, NiftiError> {
    let mut extensions = vec![extension(ECODE_CARET, organ_table().as_bytes())];
    extensions.extend(comment.map(|text| extension(ECODE_COMMENT, text.as_bytes())));
    write_with(volume, INTENT_LABEL, description, &extensions.concat())
}

/// The mask of one structure, 1 inside, whose name lies behind the header as those of [`write_organs`] do, so that nobody takes its number
/// for an organ's.
///
/// # Errors
/// [`NiftiError::TooLarge`] beyond 32767 voxels along an axis.
pub fn write_mask(volume: &LabelVolume, name: &str, colour: [u8; 3]) -> Result<Vec<u8>, NiftiError> {
    let table = label_table(std::iter::once((1, colour, name)));
    write_with(volume, INTENT_LABEL, name, &extension(ECODE_CARET, table.as_bytes()))
}

/// The names of the organs.
fn organ_table() -> String {
    label_table(Organ::ALL.into_iter().map(|organ| (organ.label(), organ.colour(), organ.id())))
}

/// Numbers, colours and names as a label table of the Connectome Workbench.
fn label_table<'a>(labels: impl Iterator<Item = (u8, [u8; 3], &'a str)>) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CaretExtension><VolumeInformation Index=\"0\"><LabelTable>\n",
    );
    for (number, colour, name) in labels {
        let [red, green, blue] = colour.map(|c| f32::from(c) / 255.0);
        // Nothing may end the text before its end.
        let name = name.replace("]]>", "]] >");
        text.push_str(&format!(
            "<Label Key=\"{number}\" Red=\"{red:.3}\" Green=\"{green:.3}\" Blue=\"{blue:.3}\" Alpha=\"1\"><![CDATA[{name}]]></Label>\n"
        ));
    }
    text.push_str("</LabelTable></VolumeInformation></CaretExtension>");
    text
}

/// A header extension: its length, a multiple of 16, its code, and what it says.
fn extension(code: i32, text: &[u8]) -> Vec<u8> {
    let size = (8 + text.len()).next_multiple_of(16);
    let mut bytes = [(size as i32).to_le_bytes(), code.to_le_bytes()].concat();
    bytes.extend(text);
    bytes.resize(size, 0);
    bytes
}

/// A CT as `.nii.gz` (int16, HU); otherwise as [`write_labels`].
///
/// # Errors
/// [`NiftiError::TooLarge`] beyond 32767 voxels along an axis.
pub fn write_ct(volume: &CtVolume, description: &str) -> Result<Vec<u8>, NiftiError> {
    write(volume, 0, description)
}

fn write<T: Stored + Sync>(volume: &Volume<T>, intent: i16, description: &str) -> Result<Vec<u8>, NiftiError> {
    write_with(volume, intent, description, &[])
}

/// With header extensions.
fn write_with<T: Stored + Sync>(
    volume: &Volume<T>,
    intent: i16,
    description: &str,
    extensions: &[u8],
) -> Result<Vec<u8>, NiftiError> {
    let mut head = Header(header(&volume.stored, T::SAMPLE, intent, description)?);
    if !extensions.is_empty() {
        head.f32s(108, &[(SINGLE_FILE_OFFSET + extensions.len()) as f32]); // vox_offset
        head.put(FIRST_BYTES, &[1]);
    }
    let mut output = Vec::new();
    gzip::append(&mut output, &[&head.0, extensions].concat(), volume).map_err(damaged)?;
    Ok(output)
}

/// The header and the empty extender, least significant byte first; the offsets are those of nifti1.h.
fn header(
    grid: &Geometry,
    sample: SampleType,
    intent: i16,
    description: &str,
) -> Result<[u8; SINGLE_FILE_OFFSET], NiftiError> {
    let [nx, ny, nz] = grid.size;
    let too_large = |_| NiftiError::TooLarge(nx, ny, nz);
    let mut dim = [3, 1, 1, 1, 1, 1, 1, 1];
    for (d, n) in dim.iter_mut().skip(1).zip(grid.size) {
        *d = i16::try_from(n).map_err(too_large)?;
    }
    // LPS to RAS; changing a sign twice gives back the bits that were read.
    let sign = [-1.0, -1.0, 1.0];
    let ras: Affine = std::array::from_fn(|r| grid.affine[r].map(|v| sign[r] * v));
    let shift: [f32; 3] = std::array::from_fn(|r| ras[r][3] as f32);
    let spacing = grid.spacing().map(|s| s as f32);
    let (qfac, quaternion) = quaternion(grid, &ras);
    let shift_mm = [ras[0][3], ras[1][3], ras[2][3]];
    let qform = qform_affine(quaternion.map(f64::from), spacing.map(f64::from), f64::from(qfac), shift_mm);
    let qform = Geometry { size: grid.size, affine: std::array::from_fn(|r| qform[r].map(|v| sign[r] * v)) };
    let has_qform = grid.same_grid(&qform, QFORM_TOLERANCE_MM);

    let mut head = Header([0; SINGLE_FILE_OFFSET]);
    head.put(0, &(FIRST_BYTES as i32).to_le_bytes());
    head.put(38, b"r"); // `regular`, which ANALYZE readers want
    head.i16s(40, &dim);
    head.i16s(68, &[intent, datatype(sample), 8 * sample.bytes() as i16]);
    head.f32s(76, &[qfac, spacing[0], spacing[1], spacing[2]]);
    head.f32s(108, &[SINGLE_FILE_OFFSET as f32, 1.0, 0.0]); // vox_offset, scl_slope, scl_inter
    head.put(123, &[UNITS_MM]);
    head.put(148, truncated(description, 79).as_bytes());
    head.i16s(252, &[if has_qform { SCANNER_ANAT } else { 0 }, SCANNER_ANAT]);
    if has_qform {
        head.f32s(256, &quaternion);
        head.f32s(268, &shift);
    }
    for (r, row) in ras.iter().enumerate() {
        head.f32s(280 + 16 * r, &row.map(|v| v as f32));
    }
    head.put(344, b"n+1\0");
    Ok(head.0)
}

struct Header([u8; SINGLE_FILE_OFFSET]);

impl Header {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn i16s(&mut self, at: usize, values: &[i16]) {
        values.iter().enumerate().for_each(|(n, v)| self.put(at + 2 * n, &v.to_le_bytes()));
    }

    fn f32s(&mut self, at: usize, values: &[f32]) {
        values.iter().enumerate().for_each(|(n, v)| self.put(at + 4 * n, &v.to_le_bytes()));
    }
}

/// The code of `NIFTI_TYPE_*`.
fn datatype(sample: SampleType) -> i16 {
    match sample {
        SampleType::U8 => 2,
        SampleType::I16 => 4,
        SampleType::I32 => 8,
        SampleType::F32 => 16,
        SampleType::F64 => 64,
        SampleType::I8 => 256,
        SampleType::U16 => 512,
        SampleType::U32 => 768,
        SampleType::I64 => 1024,
        SampleType::U64 => 1280,
    }
}

/// The start of `text` that has at most `bytes` bytes.
fn truncated(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// `qfac` and the quaternion's b, c, d (a is not negative) of the voxel axes. If they are not at right angles, some
/// rotation near them; the caller checks.
fn quaternion(grid: &Geometry, ras: &Affine) -> (f32, [f32; 3]) {
    let s = grid.spacing();
    let mut m: [[f64; 3]; 3] = std::array::from_fn(|r| std::array::from_fn(|c| ras[r][c] / s[c]));
    let determinant = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    let qfac = if determinant < 0.0 { -1.0 } else { 1.0 };
    m.iter_mut().for_each(|row| row[2] *= qfac);
    // Four times the square of each component of a unit quaternion, from the diagonal; dividing by the largest
    // component keeps the others exact.
    let [x, y, z] = [m[0][0], m[1][1], m[2][2]];
    let squares = [1.0 + x + y + z, 1.0 + x - y - z, 1.0 - x + y - z, 1.0 - x - y + z];
    let largest = (1..4).fold(0, |best, n| if squares[n] > squares[best] { n } else { best });
    let w = 2.0 * squares[largest].max(0.0).sqrt();
    let (yz, zx, xy) = ((m[2][1], m[1][2]), (m[0][2], m[2][0]), (m[1][0], m[0][1]));
    let [a, b, c, d] = match largest {
        0 => [w / 4.0, (yz.0 - yz.1) / w, (zx.0 - zx.1) / w, (xy.0 - xy.1) / w],
        1 => [(yz.0 - yz.1) / w, w / 4.0, (xy.0 + xy.1) / w, (zx.0 + zx.1) / w],
        2 => [(zx.0 - zx.1) / w, (xy.0 + xy.1) / w, w / 4.0, (yz.0 + yz.1) / w],
        _ => [(xy.0 - xy.1) / w, (zx.0 + zx.1) / w, (yz.0 + yz.1) / w, w / 4.0],
    };
    let sign = if a < 0.0 { -1.0 } else { 1.0 };
    (qfac as f32, [b, c, d].map(|v| (sign * v) as f32))
}

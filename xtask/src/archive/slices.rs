//! The sample CT as DICOM slices. The program reads CT series and writes none; an archive holds nothing else. Plain explicit VR little
//! endian (PS3.5 A.2, PS3.10 chapter 7), with the attributes that the CT image IOD asks for and no patient.

use std::io::Read;

use anyhow::{Context, Result, ensure};

/// Numbers of UIDs (`2.25.` and a number, PS3.5 B.2): study, series, frame of reference; slices follow.
pub const STUDY: u128 = 0x9F2C_7B44_51D8_4E0A_9C37_0A51_E7D2_1000;
const SERIES: u128 = STUDY + 1;
const FRAME: u128 = STUDY + 2;
const FIRST: u128 = STUDY + 16;

const CT_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// The UID with a number.
pub fn uid(number: u128) -> String {
    format!("2.25.{number}")
}

/// A grid of 16-bit voxels.
struct Grid {
    size: [usize; 3],
    /// Rows of the affine, patient LPS mm.
    affine: [[f64; 4]; 3],
    voxels: Vec<u8>,
}

/// Slices of a gzipped NIfTI-1 file with signed 16-bit HU, each a file with its name.
///
/// # Errors
/// Another kind of file.
pub fn of_nifti(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let grid = Grid::read(bytes)?;
    Ok((0..grid.size[2]).map(|k| (format!("{:03}.dcm", k + 1), grid.slice(k))).collect())
}

impl Grid {
    fn read(packed: &[u8]) -> Result<Self> {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes)?;
        ensure!(bytes.get(344..348) == Some(b"n+1\0"), "the sample is no NIfTI-1 file");
        let i16_at = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let f32_at =
            |at: usize| f64::from(f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        ensure!(i16_at(70) == 4 && i16_at(254) > 0, "the sample has other voxels, or no place");
        let mut size = [0; 3];
        for (n, length) in size.iter_mut().enumerate() {
            *length = usize::try_from(i16_at(42 + 2 * n))?;
        }
        // NIfTI counts to the right and to the front, DICOM to the left and to the back.
        let affine = std::array::from_fn(|row| {
            let sign = if row < 2 { -1.0 } else { 1.0 };
            std::array::from_fn(|column| sign * f32_at(280 + 16 * row + 4 * column))
        });
        let start = f32_at(108) as usize;
        let end = start + 2 * size.iter().product::<usize>();
        let voxels = bytes.get(start..end).context("the sample is cut off")?.to_vec();
        Ok(Self { size, affine, voxels })
    }

    /// Length and direction of a step along an axis.
    fn step(&self, axis: usize) -> (f64, [f64; 3]) {
        let step: [f64; 3] = std::array::from_fn(|row| self.affine[row][axis]);
        let length = step.iter().map(|part| part * part).sum::<f64>().sqrt();
        (length, step.map(|part| part / length))
    }

    fn slice(&self, k: usize) -> Vec<u8> {
        let [nx, ny, _] = self.size;
        let ((dx, row), (dy, column), (dz, _)) = (self.step(0), self.step(1), self.step(2));
        let place: Vec<f64> = (0..3).map(|r| self.affine[r][3] + k as f64 * self.affine[r][2]).collect();
        let instance = uid(FIRST + k as u128);
        // There is no minus nought.
        let numbers =
            |all: &[f64]| all.iter().map(|number| format!("{:.6}", number + 0.0)).collect::<Vec<_>>().join("\\");
        let direction: Vec<f64> = row.into_iter().chain(column).collect();

        let mut set = Elements::default();
        set.text(0x0008, 0x0005, b"CS", "ISO_IR 192");
        set.text(0x0008, 0x0008, b"CS", "ORIGINAL\\PRIMARY\\AXIAL");
        set.text(0x0008, 0x0016, b"UI", CT_IMAGE);
        set.text(0x0008, 0x0018, b"UI", &instance);
        set.text(0x0008, 0x0020, b"DA", "20000101");
        set.text(0x0008, 0x0030, b"TM", "120000");
        set.text(0x0008, 0x0050, b"SH", "SAMPLE");
        set.text(0x0008, 0x0060, b"CS", "CT");
        set.text(0x0008, 0x0070, b"LO", "");
        set.text(0x0008, 0x0090, b"PN", "");
        set.text(0x0008, 0x1030, b"LO", "Sample CT");
        set.text(0x0008, 0x103E, b"LO", "Neck and chest 3.0");
        set.text(0x0010, 0x0010, b"PN", "Sample^Scan");
        set.text(0x0010, 0x0020, b"LO", "SAMPLE");
        set.text(0x0010, 0x0030, b"DA", "");
        set.text(0x0010, 0x0040, b"CS", "");
        set.text(0x0018, 0x0050, b"DS", &numbers(&[dz]));
        set.text(0x0018, 0x5100, b"CS", "HFS");
        set.text(0x0020, 0x000D, b"UI", &uid(STUDY));
        set.text(0x0020, 0x000E, b"UI", &uid(SERIES));
        set.text(0x0020, 0x0010, b"SH", "1");
        set.text(0x0020, 0x0011, b"IS", "1");
        set.text(0x0020, 0x0013, b"IS", &(k + 1).to_string());
        set.text(0x0020, 0x0032, b"DS", &numbers(&place));
        set.text(0x0020, 0x0037, b"DS", &numbers(&direction));
        set.text(0x0020, 0x0052, b"UI", &uid(FRAME));
        set.number(0x0028, 0x0002, 1);
        set.text(0x0028, 0x0004, b"CS", "MONOCHROME2");
        set.number(0x0028, 0x0010, ny as u16);
        set.number(0x0028, 0x0011, nx as u16);
        // Between rows first.
        set.text(0x0028, 0x0030, b"DS", &numbers(&[dy, dx]));
        set.number(0x0028, 0x0100, 16);
        set.number(0x0028, 0x0101, 16);
        set.number(0x0028, 0x0102, 15);
        set.number(0x0028, 0x0103, 1);
        set.text(0x0028, 0x1050, b"DS", "40");
        set.text(0x0028, 0x1051, b"DS", "400");
        set.text(0x0028, 0x1052, b"DS", "0");
        set.text(0x0028, 0x1053, b"DS", "1");
        let length = 2 * nx * ny;
        set.long(0x7FE0, 0x0010, b"OW", &self.voxels[k * length..(k + 1) * length]);

        let mut meta = Elements::default();
        meta.long(0x0002, 0x0001, b"OB", &[0, 1]);
        meta.text(0x0002, 0x0002, b"UI", CT_IMAGE);
        meta.text(0x0002, 0x0003, b"UI", &instance);
        meta.text(0x0002, 0x0010, b"UI", EXPLICIT_LITTLE_ENDIAN);
        meta.text(0x0002, 0x0012, b"UI", &uid(STUDY + 3));
        let mut head = Elements::default();
        head.short(0x0002, 0x0000, b"UL", &(meta.0.len() as u32).to_le_bytes());
        [&[0; 128], b"DICM".as_slice(), &head.0, &meta.0, &set.0].concat()
    }
}

/// Elements in explicit little endian, in the order in which they come.
#[derive(Default)]
struct Elements(Vec<u8>);

impl Elements {
    fn tag(&mut self, group: u16, element: u16, vr: &[u8; 2]) {
        self.0.extend(group.to_le_bytes());
        self.0.extend(element.to_le_bytes());
        self.0.extend(vr);
    }

    fn short(&mut self, group: u16, element: u16, vr: &[u8; 2], value: &[u8]) {
        self.tag(group, element, vr);
        self.0.extend((value.len() as u16).to_le_bytes());
        self.0.extend(value);
    }

    fn long(&mut self, group: u16, element: u16, vr: &[u8; 2], value: &[u8]) {
        self.tag(group, element, vr);
        self.0.extend([0, 0]);
        self.0.extend((value.len() as u32).to_le_bytes());
        self.0.extend(value);
    }

    fn number(&mut self, group: u16, element: u16, value: u16) {
        self.short(group, element, b"US", &value.to_le_bytes());
    }

    /// Text of even length: UIDs are filled with a null, others with a space.
    fn text(&mut self, group: u16, element: u16, vr: &[u8; 2], value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == b"UI" { 0 } else { b' ' });
        }
        self.short(group, element, vr, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_becomes_a_file_for_each_slice() {
        let files = of_nifti(attention_anatomy_assets::SAMPLE).unwrap();
        assert_eq!(files.len(), 79);
        for (name, bytes) in &files {
            assert!(bytes[128..132] == *b"DICM" && bytes.len() % 2 == 0, "{name}");
        }
        let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        // The place of the first pixel: the affine of the sample, with x and y turned round.
        assert!(has(&files[0].1, "-119.226562\\0.773438\\348.250000"));
        assert!(has(&files[1].1, "-119.226562\\0.773438\\351.250000"));
        assert!(has(&files[0].1, "1.000000\\0.000000\\0.000000\\0.000000\\1.000000\\0.000000"));
        assert!(uid(FIRST + 78).len() <= 64);
    }
}

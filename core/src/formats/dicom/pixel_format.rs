//! How the pixels of a file are stored, and whether that is a way that is read here.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::dataset::DataSet;
use super::element::{integer, present, text};
use super::error::DicomError;

/// The image pixel module (PS3.3 C.7.6.3), as far as grey-scale slices need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PixelFormat {
    pub(super) samples: u16,
    pub(super) photometric: String,
    pub(super) bits_allocated: i64,
    pub(super) bits_stored: i64,
    pub(super) high_bit: i64,
    pub(super) signed: bool,
    /// Stored values from the first to the second are padding (C.7.5.1.1.2).
    pub(super) padding: Option<(i64, i64)>,
    /// A modality lookup table instead of slope and intercept.
    pub(super) lookup_table: bool,
    pub(super) big_endian: bool,
}

impl PixelFormat {
    /// Reads it from a header.
    pub(super) fn read(object: &InMemDicomObject, set: &DataSet) -> Self {
        let bits_allocated = integer(object, tags::BITS_ALLOCATED).unwrap_or(0);
        let bits_stored = integer(object, tags::BITS_STORED).unwrap_or(bits_allocated);
        let signed = integer(object, tags::PIXEL_REPRESENTATION) == Some(1);
        // Implicit VR reads a negative padding value as unsigned: bring it to the range of the pixels.
        let as_stored = |value: i64| if signed && value >= 0x8000 { value - 0x1_0000 } else { value };
        let padding = integer(object, tags::PIXEL_PADDING_VALUE).map(|value| {
            let a = as_stored(value);
            let b = integer(object, tags::PIXEL_PADDING_RANGE_LIMIT).map_or(a, as_stored);
            (a.min(b), a.max(b))
        });
        Self {
            samples: integer(object, tags::SAMPLES_PER_PIXEL).unwrap_or(1).clamp(0, u16::MAX.into()) as u16,
            photometric: text(object, tags::PHOTOMETRIC_INTERPRETATION),
            bits_allocated,
            bits_stored,
            high_bit: integer(object, tags::HIGH_BIT).unwrap_or(bits_stored - 1),
            signed,
            padding,
            lookup_table: present(object, tags::MODALITY_LUT_SEQUENCE),
            big_endian: set.encoding.big_endian,
        }
    }

    /// Refuses colour and unusual sample sizes.
    pub(super) fn check(&self, file: &str) -> Result<(), DicomError> {
        let file = || file.to_owned();
        // MONOCHROME1 is drawn inverted; the values themselves mean the same (C.7.6.3.1.2).
        let grey = matches!(self.photometric.as_str(), "MONOCHROME1" | "MONOCHROME2" | "");
        if self.samples != 1 || !grey {
            let photometric: String = self.photometric.chars().take(32).collect();
            return Err(DicomError::Colour { file: file(), samples: self.samples, photometric });
        }
        let (allocated, stored, high) = (self.bits_allocated, self.bits_stored, self.high_bit);
        let usual =
            matches!(allocated, 8 | 16) && (1..=allocated).contains(&stored) && (stored - 1..allocated).contains(&high);
        if !usual {
            let reason = format!("{allocated} bits allocated, {stored} stored, high bit {high}");
            return Err(DicomError::UnsupportedPixels { file: file(), reason });
        }
        if self.lookup_table {
            let reason = "a modality lookup table instead of RescaleSlope and RescaleIntercept".to_owned();
            return Err(DicomError::UnsupportedPixels { file: file(), reason });
        }
        if self.big_endian && allocated == 8 {
            return Err(DicomError::UnsupportedPixels { file: file(), reason: "8 bit big-endian".to_owned() });
        }
        Ok(())
    }

    /// The stored value within a cell of `bits_allocated` bits, sign and all.
    pub(super) fn stored_value(&self, cell: u16) -> i64 {
        let bits = self.bits_stored;
        let value = (i64::from(cell) >> (self.high_bit + 1 - bits)) & ((1 << bits) - 1);
        if self.signed && value >> (bits - 1) == 1 { value - (1 << bits) } else { value }
    }
}

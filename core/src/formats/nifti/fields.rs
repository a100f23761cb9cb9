//! The fields of a header, of either version: those of NIfTI-1 from the `nifti` crate, which knows no other, those of NIfTI-2 from
//! its 540 bytes (nifti2.h of the NIfTI Data Format Working Group). Numbers are as wide as the wider of the two.

use ::nifti::{Endianness, NiftiHeader, NiftiType};

use super::NiftiError;

/// Length of a NIfTI-1 header, which it says itself in `sizeof_hdr`.
pub(super) const FIRST_BYTES: usize = 348;
/// Length of a NIfTI-2 header.
pub(super) const SECOND_BYTES: usize = 540;
/// Behind the header four bytes say whether extensions follow; only then can the voxels of a single file start.
const EXTENDER_BYTES: usize = 4;

const FIRST_MAGIC_AT: std::ops::Range<usize> = 344..348;
const SECOND_MAGIC_AT: std::ops::Range<usize> = 4..8;

/// Whether `head` is the start of a NIfTI-2 header.
pub(super) fn is_second(head: &[u8]) -> bool {
    matches!(head.get(SECOND_MAGIC_AT), Some(b"n+2\0" | b"ni2\0"))
}

/// Whether `head` (unpacked) is the start of a single NIfTI-1 or NIfTI-2 file.
pub(in crate::formats) fn is_single_file(head: &[u8]) -> bool {
    head.get(FIRST_MAGIC_AT) == Some(b"n+1\0") || head.get(SECOND_MAGIC_AT) == Some(b"n+2\0")
}

/// Whether `head` (unpacked) is a header that has its voxels in another file.
pub(in crate::formats) fn is_pair_header(head: &[u8]) -> bool {
    head.get(FIRST_MAGIC_AT) == Some(b"ni1\0") || head.get(SECOND_MAGIC_AT) == Some(b"ni2\0")
}

/// What a header says, as it says it.
pub(super) struct Fields {
    /// Of the header, which the voxels of a single file follow.
    pub bytes: usize,
    pub dim: [i64; 8],
    pub datatype: i16,
    pub pixdim: [f64; 8],
    pub vox_offset: f64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub xyzt_units: u8,
    pub descrip: Vec<u8>,
    pub qform_code: i32,
    pub sform_code: i32,
    /// `quatern_b`, `c`, `d`.
    pub quaternion: [f64; 3],
    /// `qoffset_x`, `y`, `z`.
    pub qoffset: [f64; 3],
    /// `srow_x`, `y`, `z`.
    pub srow: [[f64; 4]; 3],
    pub big_endian: bool,
}

impl Fields {
    /// Of NIfTI-1; `head` has its 348 bytes.
    ///
    /// # Errors
    /// [`NiftiError::NotNifti`] where they are no such header.
    pub fn first(head: &[u8]) -> Result<Self, NiftiError> {
        let h = NiftiHeader::from_reader(head).map_err(|e| NiftiError::NotNifti(e.to_string()))?;
        if h.sizeof_hdr != FIRST_BYTES as i32 {
            return Err(NiftiError::NotNifti(format!("its header size is given as {}, not 348", h.sizeof_hdr)));
        }
        Ok(Self {
            bytes: FIRST_BYTES,
            dim: h.dim.map(i64::from),
            datatype: h.datatype,
            pixdim: h.pixdim.map(f64::from),
            vox_offset: h.vox_offset.into(),
            scl_slope: h.scl_slope.into(),
            scl_inter: h.scl_inter.into(),
            xyzt_units: h.xyzt_units,
            qform_code: h.qform_code.into(),
            sform_code: h.sform_code.into(),
            quaternion: [h.quatern_b, h.quatern_c, h.quatern_d].map(f64::from),
            qoffset: [h.quatern_x, h.quatern_y, h.quatern_z].map(f64::from),
            srow: [h.srow_x, h.srow_y, h.srow_z].map(|row| row.map(f64::from)),
            big_endian: h.endianness == Endianness::Big,
            descrip: h.descrip,
        })
    }

    /// Of NIfTI-2; `None` where `head` has fewer than its 540 bytes, or does not say that it has them.
    pub fn second(head: &[u8]) -> Option<Self> {
        let size: [u8; 4] = head.get(..4)?.try_into().ok()?;
        let big_endian = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (540, _) => false,
            (_, 540) => true,
            _ => return None,
        };
        let head = Second { head: head.get(..SECOND_BYTES)?, big_endian };
        Some(Self {
            bytes: SECOND_BYTES,
            dim: head.integers(16)?,
            datatype: i16::try_from(head.integer(12, 2)?).ok()?,
            pixdim: head.floats(104)?,
            vox_offset: head.integer(168, 8)? as f64,
            scl_slope: head.float(176)?,
            scl_inter: head.float(184)?,
            xyzt_units: (head.integer(500, 4)? & 0xff) as u8,
            descrip: head.head.get(240..320)?.to_vec(),
            qform_code: i32::try_from(head.integer(344, 4)?).ok()?,
            sform_code: i32::try_from(head.integer(348, 4)?).ok()?,
            quaternion: head.floats(352)?,
            qoffset: head.floats(376)?,
            srow: [head.floats(400)?, head.floats(432)?, head.floats(464)?],
            big_endian,
        })
    }

    /// Where the voxels of a single file start at the earliest.
    pub fn first_voxel(&self) -> usize {
        self.bytes + EXTENDER_BYTES
    }

    /// The type of the voxels; `None` for a code that there is not.
    pub fn voxel_type(&self) -> Option<NiftiType> {
        NiftiHeader { datatype: self.datatype, ..NiftiHeader::default() }.data_type().ok()
    }
}

/// The bytes of a NIfTI-2 header.
struct Second<'a> {
    head: &'a [u8],
    big_endian: bool,
}

impl Second<'_> {
    /// A signed integer of `width` bytes.
    fn integer(&self, at: usize, width: usize) -> Option<i64> {
        let mut bytes = self.head.get(at..at + width)?.to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        let sign = if bytes.last()? & 0x80 == 0 { 0 } else { 0xff };
        bytes.resize(8, sign);
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn integers<const N: usize>(&self, at: usize) -> Option<[i64; N]> {
        let all: Option<Vec<i64>> = (0..N).map(|n| self.integer(at + 8 * n, 8)).collect();
        all?.try_into().ok()
    }

    fn float(&self, at: usize) -> Option<f64> {
        Some(f64::from_bits(self.integer(at, 8)? as u64))
    }

    fn floats<const N: usize>(&self, at: usize) -> Option<[f64; N]> {
        let all: Option<Vec<f64>> = (0..N).map(|n| self.float(at + 8 * n)).collect();
        all?.try_into().ok()
    }
}

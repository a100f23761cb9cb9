//! The header: what is in the file, and where it lies in the patient.

use ::nifti::NiftiType;

use super::NiftiError;
use super::fields::{FIRST_BYTES, Fields, SECOND_BYTES, is_pair_header, is_second, is_single_file};
use crate::formats::samples::{ByteOrder, Encoding, SampleType};
use crate::formats::source::{Source, read_up_to};
use crate::formats::{Format, ImageHeader, ReadOptions, printable};
use crate::volume::{Affine, Geometry};

/// sform and qform may put the corners of the image this far apart before the user is told, in mm. Quaternions in f32
/// cost up to 0.3 mm at the far side of a body.
const FORMS_AGREE_MM: f64 = 1.0;

/// A header with its claims checked, except for what the bytes behind it must back.
pub(super) struct Parsed {
    pub header: Fields,
    pub size: [usize; 3],
    pub encoding: Encoding,
    /// Whether the voxels are in another file.
    pub pair: bool,
    /// Where they start in their file.
    pub offset: u64,
}

/// Reads the header from the start of `source`, which then stands behind it.
pub(super) fn parse(source: &mut Source<'_>) -> Result<Parsed, NiftiError> {
    let mut head = [0; SECOND_BYTES];
    let (first, rest) = head.split_at_mut(FIRST_BYTES);
    let failed = |e: std::io::Error| NiftiError::NotNifti(e.to_string());
    let mut got = read_up_to(source, first).map_err(failed)?;
    let second = is_second(first);
    if second && got == FIRST_BYTES {
        got += read_up_to(source, rest).map_err(failed)?;
    }
    let (needed, other) = if second { (SECOND_BYTES, "NIfTI-2 ") } else { (FIRST_BYTES, "") };
    if got < needed {
        return Err(NiftiError::NotNifti(format!("it has {got} bytes, and the {other}header alone has {needed}")));
    }
    if !is_single_file(&head) && !is_pair_header(&head) {
        return Err(NiftiError::NotNifti("the magic `n+1` or `ni1` is missing at byte 344".into()));
    }
    let header = if second {
        Fields::second(&head).ok_or_else(|| NiftiError::NotNifti("its header size is not given as 540".into()))?
    } else {
        Fields::first(&head[..FIRST_BYTES])?
    };
    let pair = is_pair_header(&head);
    Ok(Parsed { size: size(&header)?, encoding: encoding(&header)?, offset: offset(&header, pair)?, pair, header })
}

/// `dim`: one volume, whose further dimensions may only be 1.
fn size(header: &Fields) -> Result<[usize; 3], NiftiError> {
    let [count, dims @ ..] = header.dim;
    let used = usize::try_from(count).ok().and_then(|count| dims.get(..count)).unwrap_or(&dims);
    let refused = || NiftiError::Dimensions(used.iter().map(i64::to_string).collect::<Vec<_>>().join(" x "));
    let size = [dims[0], dims[1], if count == 2 { 1 } else { dims[2] }];
    // Some writers leave 0 in dimensions that they do not mean.
    let one_volume = (2..=7).contains(&count) && used.iter().skip(3).all(|&n| n <= 1);
    if !one_volume || size.iter().any(|&n| n < 1) {
        return Err(refused());
    }
    let [x, y, z] = size.map(usize::try_from);
    x.and_then(|x| Ok([x, y?, z?])).map_err(|_| refused())
}

/// `datatype`, `scl_slope`, `scl_inter` ("DATA SCALING": a slope of 0 means none). `bitpix` says nothing new.
fn encoding(header: &Fields) -> Result<Encoding, NiftiError> {
    let unknown = || NiftiError::DataType(format!("{} (unknown)", header.datatype));
    let sample = match header.voxel_type().ok_or_else(unknown)? {
        NiftiType::Uint8 => SampleType::U8,
        NiftiType::Int8 => SampleType::I8,
        NiftiType::Uint16 => SampleType::U16,
        NiftiType::Int16 => SampleType::I16,
        NiftiType::Uint32 => SampleType::U32,
        NiftiType::Int32 => SampleType::I32,
        NiftiType::Uint64 => SampleType::U64,
        NiftiType::Int64 => SampleType::I64,
        NiftiType::Float32 => SampleType::F32,
        NiftiType::Float64 => SampleType::F64,
        other => return Err(NiftiError::DataType(format!("{other:?}"))),
    };
    let (slope, intercept) = (header.scl_slope, header.scl_inter);
    let (slope, intercept) = if slope == 0.0 || slope.is_nan() {
        (1.0, 0.0)
    } else if slope.is_finite() && intercept.is_finite() {
        (slope, intercept)
    } else {
        return Err(NiftiError::Scaling(slope as f32, intercept as f32));
    };
    let order = if header.big_endian { ByteOrder::Big } else { ByteOrder::Little };
    Ok(Encoding { sample, order, slope, intercept })
}

/// `vox_offset`, in NIfTI-1 a float for the sake of ANALYZE. In a single file 0 stands for "right behind the header".
fn offset(header: &Fields, pair: bool) -> Result<u64, NiftiError> {
    let offset = header.vox_offset;
    let first = if pair { 0.0 } else { header.first_voxel() as f64 };
    if offset == 0.0 {
        Ok(first as u64)
    } else if offset >= first && offset <= f64::from(i32::MAX) && offset.fract() == 0.0 {
        Ok(offset as u64)
    } else {
        Err(NiftiError::Offset(offset as f32))
    }
}

impl Parsed {
    /// The grid in patient LPS mm and what a user should know about it.
    ///
    /// "3D IMAGE (VOLUME) ORIENTATION AND LOCATION IN SPACE": method 3 (sform) before method 2 (qform). Method 1 knows
    /// only voxel sizes; it is taken only where `options` allow, with the first axis to the patient's right, the
    /// second to the anterior, the third to the superior.
    ///
    /// # Errors
    /// [`NiftiError`]: no orientation and none allowed to be assumed, or one that is no grid.
    pub fn geometry(&self, options: &ReadOptions) -> Result<(Geometry, Vec<String>), NiftiError> {
        let h = &self.header;
        let mut warnings = Vec::new();
        let sform = || self.grid(&h.srow);
        // Some writers set the code and leave the matrix empty.
        let no_sform = h.srow.iter().all(|row| row.iter().take(3).all(|&v| v == 0.0));
        let geometry = if h.sform_code > 0 && no_sform && h.qform_code > 0 {
            warnings.push("the sform of the file is empty; its qform is used".into());
            self.qform()?
        } else if h.sform_code > 0 {
            let geometry = sform()?;
            if h.qform_code > 0
                && let Ok(other) = self.qform()
                && !geometry.same_grid(&other, FORMS_AGREE_MM)
            {
                warnings.push(
                    "the sform and the qform of the file put the image in different places; the sform is used".into(),
                );
            }
            geometry
        } else if h.qform_code > 0 {
            self.qform()?
        } else if options.allow_missing_orientation {
            warnings.push("the file has no orientation: left and right, front and back are assumptions".into());
            let [x, y, z] = self.voxel_size()?;
            self.grid(&[[x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0]])?
        } else {
            return Err(NiftiError::NoOrientation);
        };
        Ok((geometry, warnings))
    }

    fn qform(&self) -> Result<Geometry, NiftiError> {
        let h = &self.header;
        let qfac = if h.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        self.grid(&qform_affine(h.quaternion, self.voxel_size()?, qfac, h.qoffset))
    }

    /// `pixdim[1..=3]`. A single slice needs no distance to the next; it gets 1.
    fn voxel_size(&self) -> Result<[f64; 3], NiftiError> {
        let [_, x, y, z, ..] = self.header.pixdim;
        let z = if self.size[2] == 1 && z == 0.0 { 1.0 } else { z };
        if [x, y, z].iter().all(|s| s.is_finite() && *s > 0.0) {
            Ok([x, y, z])
        } else {
            Err(NiftiError::VoxelSize(x as f32, y as f32, z as f32))
        }
    }

    /// RAS in the file's units to LPS mm. Signs and the factor 1 change no bit of a number, so that a writer gives
    /// back the very affine that came in.
    fn grid(&self, ras: &Affine) -> Result<Geometry, NiftiError> {
        // `xyzt_units`: 1 metre, 2 mm, 3 micrometre; unknown means mm to everybody.
        let unit = match self.header.xyzt_units & 0b111 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        };
        let sign = [-unit, -unit, unit];
        let lps = std::array::from_fn(|r| ras[r].map(|v| sign[r] * v));
        Ok(Geometry::new(self.size, lps)?)
    }

    /// What `info` shows.
    pub fn describe(&self, options: &ReadOptions) -> ImageHeader {
        let geometry = self.geometry(options);
        let spacing = match &geometry {
            Ok((grid, _)) => grid.spacing(),
            Err(_) => self.voxel_size().unwrap_or([f64::NAN; 3]),
        };
        let (geometry, warnings) = match geometry {
            Ok((grid, warnings)) => (Ok(grid), warnings),
            Err(error) => (Err(error.to_string()), Vec::new()),
        };
        ImageHeader {
            format: if self.pair { Format::NiftiPairHeader } else { Format::Nifti },
            size: self.size,
            sample: self.encoding.sample,
            spacing,
            geometry,
            description: printable(&self.header.descrip),
            warnings,
        }
    }
}

/// Voxel to RAS by "METHOD 2": rotation by the unit quaternion a, b, c, d, then voxel sizes (the third with the sign
/// `qfac`), then the shift.
pub(super) fn qform_affine([b, c, d]: [f64; 3], size: [f64; 3], qfac: f64, shift: [f64; 3]) -> Affine {
    let square = b * b + c * c + d * d;
    // Half a turn leaves a = 0, which f32 components reach only up to their rounding (threshold of the standard).
    let (a, b, c, d) = if 1.0 - square < 1e-7 {
        let length = square.sqrt();
        (0.0, b / length, c / length, d / length)
    } else {
        ((1.0 - square).sqrt(), b, c, d)
    };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let step = [size[0], size[1], size[2] * qfac];
    std::array::from_fn(|r| [rotation[r][0] * step[0], rotation[r][1] * step[1], rotation[r][2] * step[2], shift[r]])
}

/// Reads no more than the header.
pub(super) fn peek(bytes: &[u8]) -> Result<Parsed, NiftiError> {
    parse(&mut Source::open(bytes))
}

/// The source after its first `offset` bytes, of which [`parse`] has read the header.
pub(super) fn to_voxels(source: &mut Source<'_>, parsed: &Parsed) -> Result<(), NiftiError> {
    let read = if parsed.pair { 0 } else { parsed.header.bytes as u64 };
    source.skip(parsed.offset.saturating_sub(read)).map_err(|e| crate::formats::samples::damaged(e).into())
}

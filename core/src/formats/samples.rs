//! Stored numbers to voxels.
//!
//! NIfTI and NRRD store the same ten kinds of number in either byte order; this is the one place that decodes them. What
//! happens to a number that the voxel type cannot hold is not the decoder's decision: a CT is clipped and says so, a
//! label map is refused. Each such rule is a [`Converter`].

use std::marker::PhantomData;

use super::source::{Source, Unreadable, read_up_to};
use crate::volume::Voxel;

/// The number types that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum SampleType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl SampleType {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The name that people know (`int16`, `float32`...).
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant.
    Little,
    /// The most significant.
    Big,
}

/// How voxels are stored: value = `slope` * number + `intercept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Encoding {
    pub sample: SampleType,
    pub order: ByteOrder,
    pub slope: f64,
    pub intercept: f64,
}

impl Encoding {
    /// Whether the numbers are the values.
    fn is_plain(&self) -> bool {
        self.slope == 1.0 && self.intercept == 0.0
    }
}

/// Why voxels could not be decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// The header claims more than the file can hold.
    #[error(
        "the header promises {expected} bytes of voxels, but at most {possible} can be in this file; it is cut off or its header is damaged: copy or export it again"
    )]
    Implausible {
        /// Bytes by the header.
        expected: u64,
        /// Bytes that the file can hold, unpacked.
        possible: u64,
    },
    /// The data ended early.
    #[error(
        "the voxels end after {found} of {expected} bytes; the file is cut off or its header is damaged: copy or export it again"
    )]
    Truncated {
        /// Bytes by the header.
        expected: u64,
        /// Bytes that were there.
        found: u64,
    },
    /// A checksum or a compressed block is wrong.
    #[error("the compressed data is damaged ({0}): copy or export the file again")]
    Damaged(String),
    /// The file gives no more of its bytes.
    #[error("the file cannot be read to its end ({0}): copy it to this computer and open the copy")]
    Unreadable(String),
    /// Not enough memory.
    #[error("there is not enough memory for {0} voxels; close other programs or resample the image")]
    Memory(usize),
    /// A label map with something that is no label.
    #[error(
        "stored voxel {voxel} holds {value}, which is no label (a whole number from 0 to 255); is this a label map? Export it as such"
    )]
    NotALabel {
        /// Place in the order of the file, from 0.
        voxel: usize,
        /// The value there.
        value: f64,
    },
    /// A value that the requested voxel type cannot hold.
    #[error("stored voxel {voxel} holds {value}, which does not fit the number type asked for; read it as float")]
    Misfit {
        /// Place in the order of the file, from 0.
        voxel: usize,
        /// The value there.
        value: f64,
    },
    /// Text where a number should stand.
    #[error("`{text}` stands where the number of stored voxel {voxel} should be; export the file again")]
    NotANumber {
        /// Place in the order of the file, from 0.
        voxel: usize,
        /// What stands there, shortened.
        text: String,
    },
}

/// A rule that makes voxels of values.
pub(crate) trait Converter {
    /// What it makes.
    type Voxel;
    /// What it makes of a whole number of 16 bits, where it makes the same of each and refuses none.
    const WHOLE: Option<fn(i16) -> Self::Voxel> = None;
    /// The voxel for `value`, stored as number `voxel` of the file.
    fn convert(&mut self, value: f64, voxel: usize) -> Result<Self::Voxel, SampleError>;
    /// What a user should know about it afterwards.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The HU that stands for "no measurement": what scanners write outside their field of view.
const NO_MEASUREMENT_HU: i16 = -1024;

/// HU: rounded, clipped to the range of `i16`; what is not a number becomes -1024. Both are counted.
#[derive(Default)]
pub(crate) struct ToHu {
    clipped: usize,
    not_numbers: usize,
}

impl Converter for ToHu {
    type Voxel = i16;
    const WHOLE: Option<fn(i16) -> i16> = Some(|hu| hu);

    #[inline]
    fn convert(&mut self, value: f64, _voxel: usize) -> Result<i16, SampleError> {
        if value.is_nan() {
            self.not_numbers += 1;
            return Ok(NO_MEASUREMENT_HU);
        }
        // What `round` says, which is a call to a library where the processor has no instruction for it.
        let near = value.clamp(-1e6, 1e6);
        let whole = near as i32;
        let rest = near - f64::from(whole);
        let rounded = whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5);
        Ok(i16::try_from(rounded).unwrap_or_else(|_| {
            self.clipped += 1;
            if rounded < 0 { i16::MIN } else { i16::MAX }
        }))
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.clipped > 0 {
            warnings.push(format!(
                "{} voxels lie outside {} to {} and were clipped; check that the image is a CT in HU",
                self.clipped,
                i16::MIN,
                i16::MAX
            ));
        }
        if self.not_numbers > 0 {
            warnings
                .push(format!("{} voxels are not numbers (NaN) and count as {NO_MEASUREMENT_HU} HU", self.not_numbers));
        }
        warnings
    }
}

/// Labels: whole numbers from 0 to 255, anything else is an error. Within 0.001 counts as whole, because programs
/// store labels as scaled floats, too.
#[derive(Default)]
pub(crate) struct ToLabel;

impl Converter for ToLabel {
    type Voxel = u8;

    fn convert(&mut self, value: f64, voxel: usize) -> Result<u8, SampleError> {
        match u8::from_f64(value) {
            Some(label) if (f64::from(label) - value).abs() <= 1e-3 => Ok(label),
            _ => Err(SampleError::NotALabel { voxel, value }),
        }
    }
}

/// Any voxel type: rounded to its nearest value, an error where there is none.
pub(crate) struct ToNearest<T>(PhantomData<T>);

impl<T> Default for ToNearest<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Voxel> Converter for ToNearest<T> {
    type Voxel = T;

    fn convert(&mut self, value: f64, voxel: usize) -> Result<T, SampleError> {
        T::from_f64(value).ok_or(SampleError::Misfit { voxel, value })
    }
}

/// Bytes decoded at a time; a multiple of every sample's size.
const CHUNK: usize = 1 << 16;

/// Decodes `count` voxels from `source` in the order of the file.
///
/// # Errors
/// Whatever `converter` refuses; data that ends early or is damaged.
pub(crate) fn decode<C: Converter>(
    source: &mut Source<'_>,
    count: usize,
    encoding: &Encoding,
    converter: &mut C,
) -> Result<Vec<C::Voxel>, SampleError> {
    let expected = (count as u64).saturating_mul(encoding.sample.bytes() as u64);
    if expected > source.at_most() {
        return Err(SampleError::Implausible { expected, possible: source.at_most() });
    }
    let mut voxels = reserve(count)?;
    // As most CTs are stored: no number has to be looked at.
    if let (Some(voxel), SampleType::I16, true) = (C::WHOLE, encoding.sample, encoding.is_plain()) {
        match encoding.order {
            ByteOrder::Little => fill(source, count, &mut voxels, |b| voxel(i16::from_le_bytes(b))),
            ByteOrder::Big => fill(source, count, &mut voxels, |b| voxel(i16::from_be_bytes(b))),
        }?;
        source.verify_end().map_err(damaged)?;
        return Ok(voxels);
    }
    // The match stands outside the voxel loop, so that each pair of type and byte order gets a loop of its own.
    macro_rules! pump_as {
        ($t:ty) => {
            match encoding.order {
                ByteOrder::Little => {
                    pump(source, count, encoding, |b| <$t>::from_le_bytes(b) as f64, converter, &mut voxels)
                }
                ByteOrder::Big => {
                    pump(source, count, encoding, |b| <$t>::from_be_bytes(b) as f64, converter, &mut voxels)
                }
            }
        };
    }
    match encoding.sample {
        SampleType::U8 => pump_as!(u8),
        SampleType::I8 => pump_as!(i8),
        SampleType::U16 => pump_as!(u16),
        SampleType::I16 => pump_as!(i16),
        SampleType::U32 => pump_as!(u32),
        SampleType::I32 => pump_as!(i32),
        SampleType::U64 => pump_as!(u64),
        SampleType::I64 => pump_as!(i64),
        SampleType::F32 => pump_as!(f32),
        SampleType::F64 => pump_as!(f64),
    }?;
    source.verify_end().map_err(damaged)?;
    Ok(voxels)
}

fn pump<const N: usize, C: Converter>(
    source: &mut Source<'_>,
    count: usize,
    encoding: &Encoding,
    number: impl Fn([u8; N]) -> f64,
    converter: &mut C,
    voxels: &mut Vec<C::Voxel>,
) -> Result<(), SampleError> {
    pieces(source, count, |numbers| {
        let first = voxels.len();
        for (n, &bytes) in numbers.iter().enumerate() {
            let value = encoding.slope * number(bytes) + encoding.intercept;
            voxels.push(converter.convert(value, first + n)?);
        }
        Ok(())
    })
}

/// Numbers of which each becomes a voxel by itself.
fn fill<const N: usize, T>(
    source: &mut Source<'_>,
    count: usize,
    voxels: &mut Vec<T>,
    voxel: impl Fn([u8; N]) -> T,
) -> Result<(), SampleError> {
    pieces(source, count, |numbers| {
        voxels.extend(numbers.iter().map(|&bytes| voxel(bytes)));
        Ok(())
    })
}

/// Calls `take` with all of `count` numbers, some at a time.
fn pieces<const N: usize>(
    source: &mut Source<'_>,
    count: usize,
    mut take: impl FnMut(&[[u8; N]]) -> Result<(), SampleError>,
) -> Result<(), SampleError> {
    let mut buffer = vec![0; CHUNK];
    let mut taken = 0;
    while taken < count {
        let wanted = (count - taken).saturating_mul(N).min(CHUNK);
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let got = read_up_to(source, part).map_err(damaged)?;
        if got < wanted {
            let expected = count as u64 * N as u64;
            return Err(SampleError::Truncated { expected, found: (taken * N + got) as u64 });
        }
        let numbers = part.as_chunks::<N>().0;
        take(numbers)?;
        taken += numbers.len();
    }
    Ok(())
}

/// Decodes `count` voxels written as text with blanks between them.
///
/// # Errors
/// As [`decode`], and [`SampleError::NotANumber`].
pub(crate) fn decode_text<C: Converter>(
    text: &[u8],
    count: usize,
    converter: &mut C,
) -> Result<Vec<C::Voxel>, SampleError> {
    // The shortest number takes one digit and a blank, the last one no blank.
    let possible = text.len() as u64 / 2 + 1;
    if count as u64 > possible {
        return Err(SampleError::Implausible { expected: count as u64 * 2, possible: text.len() as u64 });
    }
    let mut voxels = reserve(count)?;
    let words = text.split(|b| b.is_ascii_whitespace() || *b == b',').filter(|word| !word.is_empty());
    for word in words.take(count) {
        let voxel = voxels.len();
        let value = std::str::from_utf8(word).ok().and_then(|w| w.parse::<f64>().ok()).ok_or_else(|| {
            let text = String::from_utf8_lossy(word.get(..20).unwrap_or(word)).escape_debug().to_string();
            SampleError::NotANumber { voxel, text }
        })?;
        voxels.push(converter.convert(value, voxel)?);
    }
    if voxels.len() < count {
        return Err(SampleError::Truncated { expected: count as u64 * 2, found: voxels.len() as u64 * 2 });
    }
    Ok(voxels)
}

pub(crate) fn reserve<T>(count: usize) -> Result<Vec<T>, SampleError> {
    let mut voxels = Vec::new();
    voxels.try_reserve_exact(count).map_err(|_| SampleError::Memory(count))?;
    Ok(voxels)
}

pub(crate) fn damaged(error: std::io::Error) -> SampleError {
    match error.get_ref() {
        Some(inner) if inner.is::<Unreadable>() => SampleError::Unreadable(error.to_string()),
        _ => SampleError::Damaged(error.to_string()),
    }
}

/// A voxel type that writers store as it is.
pub(crate) trait Stored: Copy {
    /// Its number type in a file.
    const SAMPLE: SampleType;
    /// Appends some, least significant byte first.
    fn append(values: &[Self], bytes: &mut Vec<u8>);
}

impl Stored for u8 {
    const SAMPLE: SampleType = SampleType::U8;
    fn append(values: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(values);
    }
}

impl Stored for i16 {
    const SAMPLE: SampleType = SampleType::I16;
    fn append(values: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(sample: SampleType, order: ByteOrder) -> Encoding {
        Encoding { sample, order, slope: 1.0, intercept: 0.0 }
    }

    #[test]
    fn a_value_becomes_its_nearest_hu_halves_away_from_zero() {
        let mut rule = ToHu::default();
        let halves = (-40_000..40_000).flat_map(|n| [f64::from(n) / 2.0, f64::from(n) + 0.499_999_999_999_9]);
        let odd = [0.499_999_999_999_999_94, 32_767.499, 32_767.5, -32_768.499, -32_768.5, 1e9, -1e300, f64::INFINITY];
        let mut clipped = 0;
        for value in halves.chain(odd) {
            let rounded = value.round();
            clipped += usize::from(!(-32_768.0..=32_767.0).contains(&rounded));
            assert_eq!(rule.convert(value, 0).unwrap(), rounded as i16, "{value}");
        }
        assert_eq!((rule.clipped, clipped > 5), (clipped, true));
    }

    #[test]
    fn a_ct_is_clipped_and_says_how_often() {
        let bytes: Vec<u8> =
            [1e9f32, -1e9, f32::NAN, 40.4, f32::INFINITY].iter().flat_map(|v| v.to_be_bytes()).collect();
        let mut hu = ToHu::default();
        let voxels = decode(&mut Source::open(&bytes), 5, &encoding(SampleType::F32, ByteOrder::Big), &mut hu).unwrap();
        assert_eq!(voxels, [i16::MAX, i16::MIN, -1024, 40, i16::MAX]);
        let warnings = hu.warnings();
        assert!(warnings[0].starts_with("3 voxels") && warnings[1].starts_with("1 voxels"), "{warnings:?}");
    }

    #[test]
    fn what_is_no_label_is_refused_with_its_place() {
        for (value, at) in [(256.0f64, 0), (-1.0, 1), (2.5, 2), (f64::NAN, 3)] {
            let mut numbers = vec![7.0; at];
            numbers.push(value);
            let bytes: Vec<u8> = numbers.iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
            let format = encoding(SampleType::F64, ByteOrder::Little);
            let result = decode(&mut Source::open(&bytes), at + 1, &format, &mut ToLabel);
            assert!(matches!(result, Err(SampleError::NotALabel { voxel, .. }) if voxel == at), "{value}: {result:?}");
        }
    }

    #[test]
    fn a_count_that_the_bytes_cannot_back_is_refused_before_memory_is_asked_for() {
        let format = encoding(SampleType::F64, ByteOrder::Little);
        let result = decode(&mut Source::open(&[0; 64]), usize::MAX / 16, &format, &mut ToLabel);
        assert!(matches!(result, Err(SampleError::Implausible { possible: 64, .. })), "{result:?}");
        assert!(matches!(decode_text(b"1 2 3", 4, &mut ToLabel), Err(SampleError::Implausible { .. })));
        assert!(matches!(decode_text(b"1 200 3", 4, &mut ToLabel), Err(SampleError::Truncated { .. })));
        assert!(matches!(decode_text(b"1 x 3", 3, &mut ToLabel), Err(SampleError::NotANumber { voxel: 1, .. })));
    }

    #[test]
    fn chunks_join_without_a_seam() {
        let numbers: Vec<i16> = (0..100_001).map(|n| (n % 60_000 - 30_000) as i16).collect();
        let mut bytes = Vec::new();
        Stored::append(&numbers, &mut bytes);
        let format = encoding(SampleType::I16, ByteOrder::Little);
        let back = decode(&mut Source::open(&bytes), numbers.len(), &format, &mut ToHu::default()).unwrap();
        assert_eq!(back, numbers);
    }
}

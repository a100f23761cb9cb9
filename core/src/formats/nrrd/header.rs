//! The text at the start: fields, and the grid that they describe.

use std::collections::BTreeMap;

use super::NrrdError;
use crate::formats::samples::{ByteOrder, Encoding, SampleType};
use crate::formats::{Format, ImageHeader, ReadOptions, printable};
use crate::volume::{Affine, Geometry};

/// A longer line is no header. (Teem itself stops at 1 MiB; real lines have some hundred bytes.)
const MAX_LINE: usize = 1 << 16;

/// Whether `bytes` start with the magic of any version.
pub(in crate::formats) fn is_nrrd(bytes: &[u8]) -> bool {
    bytes.starts_with(b"NRRD000") && bytes.get(7).is_some_and(u8::is_ascii_digit)
}

/// Whether `bytes` are a header whose data is in another file.
pub(in crate::formats) fn is_detached(bytes: &[u8]) -> bool {
    Fields::parse(bytes).is_ok_and(|fields| fields.get("data file").is_some())
}

/// The file that has the data of a header, as the header names it; `None` for anything else.
pub(in crate::formats) fn data_file(bytes: &[u8]) -> Option<String> {
    Fields::parse(bytes).ok()?.get("data file").map(str::to_string)
}

/// The value of `key:=value` in a header, or what the lines `key_0`, `key_1`... hold together; `None` where there is none.
pub(in crate::formats) fn key_value(bytes: &[u8], key: &str) -> Option<String> {
    let keys = Fields::parse(bytes).ok()?.keys;
    if let Some(value) = keys.get(key) {
        return Some(value.clone());
    }
    let parts: String = (0..).map_while(|n| keys.get(&format!("{key}_{n}")).map(String::as_str)).collect();
    (!parts.is_empty()).then_some(parts)
}

/// How the numbers are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Raw,
    Gzip,
    Text,
}

/// A header with its claims checked, except for what the bytes behind it must back.
pub(super) struct Parsed {
    pub size: [usize; 3],
    pub encoding: Encoding,
    pub packing: Packing,
    /// Lines to leave out before unpacking.
    pub line_skip: usize,
    /// Bytes to leave out after unpacking; `None`: the data is the end of the file.
    pub byte_skip: Option<u64>,
    /// The other file that has the data.
    pub data_file: Option<String>,
    /// Where the header ends in its own file.
    pub end: usize,
    fields: Fields,
    /// Which axes of the file are i, j, k.
    axes: [usize; 3],
    /// Voxels along every axis of the file.
    sizes: Vec<usize>,
}

/// The fields of a header by their names in lower case without blanks.
struct Fields {
    values: BTreeMap<String, String>,
    /// `key:=value` pairs, as written.
    keys: BTreeMap<String, String>,
    end: usize,
}

impl Fields {
    /// "Basic header format": a magic line; `field: value`, `key:=value` or `# comment` lines; an empty line.
    fn parse(bytes: &[u8]) -> Result<Self, NrrdError> {
        if !is_nrrd(bytes) {
            return Err(NrrdError::NotNrrd);
        }
        let (mut values, mut keys) = (BTreeMap::new(), BTreeMap::new());
        let mut end = 0;
        for line in 1.. {
            let rest = bytes.get(end..).unwrap_or_default();
            let window = rest.get(..MAX_LINE).unwrap_or(rest);
            let length = window.iter().position(|&b| b == b'\n');
            let raw = window.get(..length.unwrap_or(window.len())).unwrap_or_default();
            let refused =
                |problem| Err(NrrdError::Line { line, text: shortened(&String::from_utf8_lossy(raw)), problem });
            if length.is_none() && window.len() == MAX_LINE {
                return refused("too long");
            }
            end += raw.len() + usize::from(length.is_some());
            let text = String::from_utf8_lossy(raw);
            let text = text.trim_end_matches('\r');
            // A header that ends with its file has its data elsewhere and needs no empty line.
            if text.is_empty() {
                break;
            }
            if line == 1 || text.starts_with('#') {
                continue;
            }
            let Some((name, value)) = text.split_once(':') else {
                return refused("no field of an NRRD header");
            };
            if let Some(value) = value.strip_prefix('=') {
                keys.insert(name.trim().to_string(), value.to_string());
                continue;
            }
            let name = name.to_ascii_lowercase().replace(char::is_whitespace, "");
            if values.insert(name, value.trim().to_string()).is_some() {
                return refused("a field that was there before");
            }
        }
        Ok(Self { values, keys, end })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.replace(' ', "")).map(String::as_str)
    }

    fn require(&self, name: &'static str) -> Result<&str, NrrdError> {
        self.get(name).ok_or(NrrdError::Missing(name))
    }

    /// The field as whole numbers, or `None` if it is not there.
    fn number<T: std::str::FromStr>(&self, field: &'static str) -> Result<Option<T>, NrrdError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| refuse(field, value, "a whole number in range is needed"))
    }
}

fn refuse(field: &'static str, value: &str, expected: &'static str) -> NrrdError {
    NrrdError::Field { field, value: shortened(value), expected }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Reads the header from the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, NrrdError> {
    let fields = Fields::parse(bytes)?;
    let sample = sample_type(fields.require("type")?)?;
    let packing = match fields.require("encoding")?.to_ascii_lowercase().as_str() {
        "raw" => Packing::Raw,
        "gzip" | "gz" => Packing::Gzip,
        "text" | "txt" | "ascii" => Packing::Text,
        other => return Err(refuse("encoding", other, "raw, gzip and text are read: save it with one of these")),
    };
    let order = match fields.get("endian").map(str::to_ascii_lowercase).as_deref() {
        Some("little") => ByteOrder::Little,
        Some("big") => ByteOrder::Big,
        None if sample.bytes() == 1 || packing == Packing::Text => ByteOrder::Little,
        None => return Err(NrrdError::Missing("endian")),
        Some(other) => return Err(refuse("endian", other, "little or big is needed")),
    };
    let byte_skip = match fields.number::<i64>("byte skip")? {
        None => Some(0),
        Some(-1) if packing == Packing::Raw => None,
        Some(n) => Some(u64::try_from(n).map_err(|_| {
            refuse("byte skip", &n.to_string(), "a number from 0 up is needed, or -1 where the encoding is raw")
        })?),
    };
    let data_file = fields.get("data file").map(str::to_string);
    if let Some(name) = &data_file
        && (name.starts_with("LIST") || name.contains('%'))
    {
        return Err(refuse("data file", name, "data in several files is not read: save it as one .nrrd file"));
    }
    let (size, axes, sizes) = size(&fields)?;
    Ok(Parsed {
        size,
        encoding: Encoding { sample, order, slope: 1.0, intercept: 0.0 },
        packing,
        line_skip: fields.number("line skip")?.unwrap_or(0),
        byte_skip,
        data_file,
        end: fields.end,
        fields,
        axes,
        sizes,
    })
}

/// "Basic field specifications", `type:`.
fn sample_type(name: &str) -> Result<SampleType, NrrdError> {
    Ok(match name.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
        "signed char" | "int8" | "int8_t" => SampleType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => SampleType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => SampleType::I16,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => SampleType::U16,
        "int" | "signed int" | "int32" | "int32_t" => SampleType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => SampleType::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => SampleType::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => SampleType::U64,
        "float" => SampleType::F32,
        "double" => SampleType::F64,
        other => return Err(refuse("type", other, "an integer type, float or double is needed")),
    })
}

/// Voxels along the three axes in space, which of all axes these are, and the size of each of all.
type Sizes = ([usize; 3], [usize; 3], Vec<usize>);

/// `dimension`, `sizes`: three axes in space, which `space directions` tells (`none` for the others). Whether the others have size 1
/// is asked by whoever needs one volume.
fn size(fields: &Fields) -> Result<Sizes, NrrdError> {
    let text = fields.require("sizes")?;
    let sizes: Option<Vec<usize>> = text.split_whitespace().map(|w| w.parse().ok()).collect();
    let sizes = sizes.ok_or_else(|| refuse("sizes", text, "whole numbers are needed"))?;
    let dimension = fields.number::<usize>("dimension")?.ok_or(NrrdError::Missing("dimension"))?;
    if sizes.len() != dimension {
        return Err(refuse("sizes", text, "as many sizes as the dimension says are needed"));
    }
    let refused = || NrrdError::Dimensions(shortened(&text.split_whitespace().collect::<Vec<_>>().join(" x ")));
    let in_space: Vec<usize> = match fields.get("space directions") {
        Some(value) => {
            let vectors = vectors("space directions", value)?;
            if vectors.len() != dimension {
                return Err(refuse("space directions", value, "one vector or `none` for each axis is needed"));
            }
            (0..dimension).filter(|&axis| vectors.get(axis).is_some_and(Option::is_some)).collect()
        }
        None => (0..dimension).collect(),
    };
    let axes: [usize; 3] = in_space.try_into().map_err(|_| refused())?;
    let size = axes.map(|axis| sizes.get(axis).copied().unwrap_or(0));
    if sizes.iter().all(|&n| n > 0) { Ok((size, axes, sizes)) } else { Err(refused()) }
}

/// `(1,0,0) none (0,1,0)`: a vector of three numbers for each axis in space.
fn vectors(field: &'static str, text: &str) -> Result<Vec<Option<[f64; 3]>>, NrrdError> {
    let refused = || refuse(field, text, "vectors of three numbers such as (1,0,0) are needed");
    let mut rest = text.trim_start();
    let mut vectors = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("none") {
            vectors.push(None);
            rest = after.trim_start();
        } else {
            let (inside, after) = rest.strip_prefix('(').and_then(|r| r.split_once(')')).ok_or_else(refused)?;
            let numbers: Option<Vec<f64>> = inside.split(',').map(|w| w.trim().parse().ok()).collect();
            let vector: [f64; 3] = numbers.and_then(|n| n.try_into().ok()).ok_or_else(refused)?;
            // Old writers give (nan,nan,nan) for an axis that is not in space.
            vectors.push(Some(vector).filter(|v| !v.iter().all(|x| x.is_nan())));
            rest = after.trim_start();
        }
    }
    Ok(vectors)
}

impl Parsed {
    /// The `key:=value` pairs of the header.
    pub fn keys(&self) -> &BTreeMap<String, String> {
        &self.fields.keys
    }

    /// Refuses more than one volume.
    ///
    /// # Errors
    /// [`NrrdError::Dimensions`].
    pub fn single(self) -> Result<Self, NrrdError> {
        if self.layers()?.0 == 1 { Ok(self) } else { Err(self.dimensions()) }
    }

    /// How many volumes there are along an axis that is not in space, and how many numbers lie between a voxel of one volume and
    /// the same voxel of the next.
    ///
    /// # Errors
    /// [`NrrdError::Dimensions`] for more than one such axis.
    pub fn layers(&self) -> Result<(usize, usize), NrrdError> {
        let mut others =
            (0..self.sizes.len()).filter(|axis| !self.axes.contains(axis) && self.sizes.get(*axis) != Some(&1));
        let Some(axis) = others.next() else { return Ok((1, 0)) };
        if others.next().is_some() {
            return Err(self.dimensions());
        }
        let between = self.sizes.iter().take(axis).try_fold(1usize, |n, &size| n.checked_mul(size));
        Ok((self.sizes.get(axis).copied().unwrap_or(1), between.ok_or_else(|| self.dimensions())?))
    }

    fn dimensions(&self) -> NrrdError {
        NrrdError::Dimensions(shortened(&self.sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")))
    }

    /// The grid in patient LPS mm and what a user should know about it ("Space and orientation information").
    ///
    /// # Errors
    /// [`NrrdError`]: no orientation and none allowed to be assumed, or one that is no grid.
    pub fn geometry(&self, options: &ReadOptions) -> Result<(Geometry, Vec<String>), NrrdError> {
        let missing = ["space", "space directions", "space origin"].into_iter().find(|f| self.fields.get(f).is_none());
        if let Some(field) = missing {
            if !options.allow_missing_orientation {
                return Err(NrrdError::NoOrientation(field));
            }
            let warning = "the file has no orientation: left and right, front and back are assumptions".into();
            return Ok((Geometry::axial(self.size, self.spacings()?, [0.0; 3])?, vec![warning]));
        }
        let space = self.fields.require("space")?;
        let sign = match space.to_ascii_lowercase().as_str() {
            "left-posterior-superior" | "lps" => [1.0, 1.0, 1.0],
            "right-anterior-superior" | "ras" => [-1.0, -1.0, 1.0],
            "left-anterior-superior" | "las" => [1.0, -1.0, 1.0],
            _ => return Err(refuse("space", space, "LPS, RAS or LAS is needed: export it in a patient frame")),
        };
        let unit = self.units()?;
        let value = self.fields.require("space directions")?;
        let directions = vectors("space directions", value)?;
        let text = self.fields.require("space origin")?;
        let origin = match vectors("space origin", text)?.as_slice() {
            [Some(origin)] => *origin,
            _ => return Err(refuse("space origin", text, "one vector such as (0,0,0) is needed")),
        };
        let mut affine: Affine = [[0.0; 4]; 3];
        for (column, &axis) in self.axes.iter().enumerate() {
            let step = directions.get(axis).copied().flatten().ok_or(NrrdError::Missing("space directions"))?;
            for r in 0..3 {
                affine[r][column] = sign[r] * unit[r] * step[r];
                affine[r][3] = sign[r] * unit[r] * origin[r];
            }
        }
        Ok((Geometry::new(self.size, affine)?, Vec::new()))
    }

    /// `space units`, in mm; mm where nothing is said.
    fn units(&self) -> Result<[f64; 3], NrrdError> {
        let Some(text) = self.fields.get("space units") else { return Ok([1.0; 3]) };
        let refused = || refuse("space units", text, "three times \"mm\", \"cm\", \"m\" or \"um\" is needed");
        let units: Option<Vec<f64>> =
            text.split(|c: char| c == '"' || c.is_whitespace())
                .filter(|word| !word.is_empty())
                .map(|word| match word.to_ascii_lowercase().as_str() {
                    "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => Some(1.0),
                    "cm" => Some(10.0),
                    "m" => Some(1000.0),
                    "um" | "µm" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre"
                    | "micrometres" => Some(0.001),
                    _ => None,
                })
                .collect();
        units.and_then(|u| u.try_into().ok()).ok_or_else(refused)
    }

    /// `spacings` of the three axes, for files without orientation; 1 where nothing is said.
    fn spacings(&self) -> Result<[f64; 3], NrrdError> {
        let Some(text) = self.fields.get("spacings") else { return Ok([1.0; 3]) };
        let numbers: Option<Vec<f64>> = text.split_whitespace().map(|w| w.parse().ok()).collect();
        let numbers = numbers
            .filter(|n| n.len() == self.sizes.len())
            .ok_or_else(|| refuse("spacings", text, "one number for each axis is needed"))?;
        Ok(self.axes.map(|axis| numbers.get(axis).copied().unwrap_or(f64::NAN)))
    }

    /// What `info` shows.
    pub fn describe(&self, options: &ReadOptions) -> ImageHeader {
        let geometry = self.geometry(options);
        let spacing = match &geometry {
            Ok((grid, _)) => grid.spacing(),
            Err(_) if self.fields.get("spacings").is_some() => self.spacings().unwrap_or([f64::NAN; 3]),
            Err(_) => [f64::NAN; 3],
        };
        let (geometry, warnings) = match geometry {
            Ok((grid, warnings)) => (Ok(grid), warnings),
            Err(error) => (Err(error.to_string()), Vec::new()),
        };
        ImageHeader {
            format: if self.data_file.is_some() { Format::NrrdHeader } else { Format::Nrrd },
            size: self.size,
            sample: self.encoding.sample,
            spacing,
            geometry,
            description: printable(self.fields.get("content").unwrap_or_default().as_bytes()),
            warnings,
        }
    }
}

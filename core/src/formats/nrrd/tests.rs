//! What the NRRD reader and writer promise.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::formats::analytic::{Stored, all_48_axes, assert_in_place, damaged_versions, stored};
use crate::formats::{ReadOptions, SampleType};
use crate::volume::{Geometry, Modality, Volume};

const STRICT: ReadOptions = ReadOptions { allow_missing_orientation: false };
const LENIENT: ReadOptions = ReadOptions { allow_missing_orientation: true };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file of the test's own making: the given lines, an empty one, the data.
fn file(lines: &[&str], data: &[u8]) -> Vec<u8> {
    let mut file = format!("NRRD0005\n{}\n\n", lines.join("\n")).into_bytes();
    file.extend(data);
    file
}

/// The phantom in one of the three spaces, whose axes point to `sign` times left, posterior, superior.
fn encode(phantom: &Stored, space: &str, sign: [f64; 3], encoding: &str) -> Vec<u8> {
    let vector = |v: [f64; 3]| format!("({}, {},{})", sign[0] * v[0], sign[1] * v[1], sign[2] * v[2]);
    let [nx, ny, nz] = phantom.size;
    let text: String = phantom.labels.iter().map(|label| format!("{label} ")).collect();
    let data = match encoding {
        "raw" => phantom.labels.clone(),
        "gzip" => gzip(&phantom.labels),
        _ => text.into_bytes(),
    };
    file(
        &[
            "# a comment",
            "type: unsigned char",
            "Dimension: 4",
            &format!("space: {space}"),
            &format!("sizes: {nx} 1 {ny} {nz}"),
            &format!(
                "space directions: {} none {} {}",
                vector(phantom.steps[0]),
                vector(phantom.steps[1]),
                vector(phantom.steps[2])
            ),
            "kinds: domain list domain domain",
            &format!("encoding: {encoding}"),
            &format!("space origin: {}", vector(phantom.origin)),
            "Segment0_Name:=box: the first",
        ],
        &data,
    )
}

#[test]
fn organs_keep_their_place_in_all_48_orientations_of_each_space() {
    let spaces = [
        ("left-posterior-superior", [1.0, 1.0, 1.0]),
        ("LPS", [1.0, 1.0, 1.0]),
        ("right-anterior-superior", [-1.0, -1.0, 1.0]),
        ("RAS", [-1.0, -1.0, 1.0]),
        ("left-anterior-superior", [1.0, -1.0, 1.0]),
        ("LAS", [1.0, -1.0, 1.0]),
    ];
    for (n, axes) in all_48_axes().into_iter().enumerate() {
        for (m, (space, sign)) in spaces.into_iter().enumerate() {
            let encoding = ["raw", "gzip", "ascii"][(n + m) % 3];
            let bytes = encode(&stored(axes), space, sign, encoding);
            let volume = read_labels(&bytes, &STRICT).unwrap();
            assert_in_place(&volume, &format!("{axes:?} {space} {encoding}"));
            assert!(volume.warnings.is_empty());
        }
    }
}

#[test]
fn what_was_read_is_written_back_on_the_same_grid_bit_for_bit() {
    for axes in all_48_axes() {
        let phantom = stored(axes);
        let volume = read_labels(&encode(&phantom, "RAS", [-1.0, -1.0, 1.0], "raw"), &STRICT).unwrap();
        let back = read_labels(&write_labels(&volume, "not a medical\ndevice").unwrap(), &STRICT).unwrap();
        assert_eq!(back, volume);
        let slice = |k| back.axes.stored_slice(&back.voxels, back.geometry.size, k);
        assert_eq!((0..back.stored.size[2]).flat_map(slice).collect::<Vec<u8>>(), phantom.labels);
        assert!((0..3).all(|r| back.stored.affine[r][3] == phantom.origin[r]));
    }
    let grid = Geometry::axial([4, 3, 2], [0.1 + 0.2, 1.0 / 3.0, 1e-3], [-1e-17, 1e7 / 3.0, -0.0]).unwrap();
    let ct = Volume::from_stored(grid, (-12..12).map(|v| v * 100).collect(), Modality::Unknown).unwrap();
    let written = write_ct(&ct, "").unwrap();
    assert_eq!(read_ct(&written, &STRICT).unwrap(), ct);
    assert_eq!(read_header(&written, &STRICT).unwrap().sample, SampleType::I16);
}

const AXIAL: [&str; 4] =
    ["dimension: 3", "space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)"];

fn axial(more: &[&str], data: &[u8]) -> Vec<u8> {
    file(&[&AXIAL, more].concat(), data)
}

#[test]
fn every_number_type_and_byte_order_gives_its_values() {
    macro_rules! check {
        ($t:ty, $($name:literal),*) => {$(
            let values: [$t; 4] = [1 as $t, 2 as $t, 100 as $t, 0 as $t];
            let little: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let big: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
            let name = format!("type: {}", $name);
            for (endian, data) in [("endian: little", little), ("endian: big", big)] {
                let raw = axial(&[&name, "sizes: 4 1 1", endian, "encoding: raw"], &data);
                assert_eq!(read_ct(&raw, &STRICT).unwrap().voxels, [1, 2, 100, 0], "{name} {endian}");
                let gz = axial(&[&name, "sizes: 4 1 1", endian, "encoding: gz"], &gzip(&data));
                assert_eq!(read::<f64>(&gz, &STRICT).unwrap().voxels, [1.0, 2.0, 100.0, 0.0], "{name} {endian}");
            }
        )*};
    }
    check!(i8, "signed char", "int8", "int8_t");
    check!(u8, "uchar", "unsigned char", "uint8", "uint8_t");
    check!(i16, "short", "short int", "signed short", "signed short int", "int16", "int16_t");
    check!(u16, "ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t");
    check!(i32, "int", "signed int", "int32", "int32_t");
    check!(u32, "uint", "unsigned int", "uint32", "uint32_t");
    check!(i64, "longlong", "long long", "signed long long int", "int64", "int64_t");
    check!(u64, "ulonglong", "unsigned long long", "uint64", "uint64_t");
    check!(f32, "float");
    check!(f64, "double");
}

#[test]
fn skips_units_and_line_ends_are_followed() {
    let raw = ["type: uint8", "sizes: 2 2 1", "encoding: raw"];
    let with = |more: &[&str], data: &[u8]| read_labels(&axial(&[&raw, more].concat(), data), &STRICT);
    assert_eq!(with(&["byte skip: 3"], b"xyz\x01\x02\x03\x04").unwrap().voxels, [1, 2, 3, 4]);
    assert_eq!(with(&["byteskip: -1"], b"anything\x01\x02\x03\x04").unwrap().voxels, [1, 2, 3, 4]);
    assert_eq!(with(&["line skip: 2"], b"a\nb\n\x01\x02\x03\x04").unwrap().voxels, [1, 2, 3, 4]);
    assert_eq!(with(&["space units: \"cm\" \"mm\" \"m\""], &[0; 4]).unwrap().stored.spacing(), [10.0, 1.0, 1000.0]);
    let windows = String::from_utf8(axial(&raw, &[5; 4])).unwrap().replace('\n', "\r\n");
    assert_eq!(read_labels(windows.as_bytes(), &STRICT).unwrap().voxels, [5; 4]);
    // Raw voxels that start like a gzip file are voxels.
    assert_eq!(with(&[], &[0x1f, 0x8b, 8, 0]).unwrap().voxels, [0x1f, 0x8b, 8, 0]);
}

#[test]
fn a_detached_header_takes_its_data_from_the_second_file() {
    let header = axial(&["type: uint8", "sizes: 2 2 1", "encoding: gzip", "data file: ct.raw.gz"], &[]);
    let data = gzip(&[1, 2, 3, 4]);
    assert_eq!(read_detached_labels(&header, &data, &STRICT).unwrap().voxels, [1, 2, 3, 4]);
    assert_eq!(read_detached_ct(header.trim_ascii_end(), &data, &STRICT).unwrap().voxels, [1, 2, 3, 4]);
    assert_eq!(read_labels(&header, &STRICT), Err(NrrdError::DataMissing("ct.raw.gz".into())));
    let attached = axial(&["type: uint8", "sizes: 2 2 1", "encoding: raw"], &[0; 4]);
    assert_eq!(read_detached_labels(&attached, &data, &STRICT), Err(NrrdError::NotDetached));
    let list = axial(&["type: uint8", "sizes: 2 2 1", "encoding: raw", "data file: s%03d.raw 1 9 1"], &[]);
    assert!(matches!(read_detached_ct(&list, &data, &STRICT), Err(NrrdError::Field { field: "data file", .. })));
}

#[test]
fn without_orientation_an_image_is_refused_unless_asked_for() {
    let lines = ["type: uint8", "dimension: 3", "sizes: 2 2 1", "spacings: 0.5 0.5 3", "encoding: raw"];
    let bytes = file(&lines, &[1, 2, 3, 4]);
    assert_eq!(read_ct(&bytes, &STRICT), Err(NrrdError::NoOrientation("space")));
    assert_eq!(read_header(&bytes, &STRICT).unwrap().spacing, [0.5, 0.5, 3.0]);
    let volume = read_labels(&bytes, &LENIENT).unwrap();
    assert_eq!((volume.geometry.spacing(), volume.voxels), ([0.5, 0.5, 3.0], vec![1, 2, 3, 4]));
    assert!(volume.warnings[0].contains("no orientation"));
    let no_origin = [&AXIAL[..3], &["type: uint8", "sizes: 2 2 1", "encoding: raw"]].concat();
    assert_eq!(read_ct(&file(&no_origin, &[0; 4]), &STRICT), Err(NrrdError::NoOrientation("space origin")));
}

#[test]
fn headers_that_cannot_be_are_refused_with_what_they_say() {
    let lines = ["type: short", "sizes: 2 2 1", "endian: little", "encoding: raw"];
    assert!(read_ct(&axial(&lines, &[0; 8]), &STRICT).is_ok());
    let with = |n: usize, line: &str| {
        let mut lines = lines;
        lines[n] = line;
        read_ct(&axial(&lines, &[0; 8]), &STRICT).unwrap_err()
    };
    assert!(matches!(with(0, "type: block"), NrrdError::Field { field: "type", .. }));
    assert_eq!(with(0, "# no type"), NrrdError::Missing("type"));
    assert_eq!(with(2, "# no endian"), NrrdError::Missing("endian"));
    assert!(with(3, "encoding: bzip2").to_string().contains("`encoding: bzip2`"));
    assert_eq!(with(1, "sizes: 2 2 0"), NrrdError::Dimensions("2 x 2 x 0".into()));
    assert!(matches!(with(1, "sizes: 2 2"), NrrdError::Field { field: "sizes", .. }));
    assert!(matches!(with(1, "sizes: 9000000000 9000000000 9000000000"), NrrdError::Geometry(_)));
    assert!(matches!(with(1, "sizes: 200 200 200"), NrrdError::Samples(_)));
    assert!(matches!(with(1, "sizes 2 2 1"), NrrdError::Line { line: 7, .. }));
    assert!(matches!(with(1, "sizes: 2 2 1\nsizes: 1 2 2"), NrrdError::Line { line: 8, .. }));
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(axial(&lines, &[0; 8])).unwrap().replace(from, to);
        read_ct(text.as_bytes(), &STRICT).unwrap_err()
    };
    assert!(matches!(replaced("LPS", "scanner-xyz"), NrrdError::Field { field: "space", .. }));
    assert!(matches!(replaced("(0,1,0)", "(0,1)"), NrrdError::Field { field: "space directions", .. }));
    assert!(matches!(replaced("(0,1,0)", "none"), NrrdError::Dimensions(_)));
    assert!(matches!(replaced("(0,1,0)", "(0.9,1,0)"), NrrdError::Geometry(_)));
    let series = file(
        &[
            "type: uint8",
            "dimension: 4",
            "space: LPS",
            "sizes: 3 2 2 1",
            "space directions: none (1,0,0) (0,1,0) (0,0,1)",
            "space origin: (0,0,0)",
            "encoding: raw",
        ],
        &[0; 12],
    );
    assert_eq!(read_ct(&series, &STRICT), Err(NrrdError::Dimensions("3 x 2 x 2 x 1".into())));
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let phantom = stored(all_48_axes()[29]);
    let mut read = 0;
    for encoding in ["raw", "gzip", "text"] {
        let bytes = encode(&phantom, "RAS", [-1.0, -1.0, 1.0], encoding);
        for damaged in damaged_versions(&bytes, 2000) {
            read += usize::from(read_ct(&damaged, &LENIENT).is_ok());
            let _ = read_labels(&damaged, &STRICT);
            let _ = read_header(&damaged, &STRICT);
            let _ = is_detached(&damaged);
        }
    }
    // Some damage is harmless, most is not: both paths were walked.
    assert!((100..5000).contains(&read), "{read}");
}

/// The phantom as a segmentation of 3D Slicer: each box is a segment of the value 1 in a layer of its own; the list of layers is the
/// file's axis `at`.
fn layered(phantom: &Stored, at: usize, named: &[(&str, usize)]) -> Vec<u8> {
    let vector = |v: [f64; 3]| format!("({},{},{})", v[0], v[1], v[2]);
    let mut sizes: Vec<usize> = phantom.size.to_vec();
    sizes.insert(at, 3);
    let mut directions = phantom.steps.map(vector).to_vec();
    directions.insert(at, "none".into());
    let inner: usize = sizes[..at].iter().product();
    let voxels = phantom.labels.len();
    let data: Vec<u8> = (0..3 * voxels)
        .map(|n| {
            let (layer, voxel) = (n / inner % 3, n / (3 * inner) * inner + n % inner);
            u8::from(usize::from(phantom.labels[voxel]) == layer + 1)
        })
        .collect();
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let mut lines = vec![
        "type: uint8".to_owned(),
        "dimension: 4".into(),
        "space: LPS".into(),
        format!("sizes: {}", sizes.join(" ")),
        format!("space directions: {}", directions.join(" ")),
        "encoding: gzip".into(),
        format!("space origin: {}", vector(phantom.origin)),
    ];
    for (n, (name, layer)) in named.iter().enumerate() {
        lines.push(format!("Segment{n}_Name:={name}"));
        lines.push(format!("Segment{n}_LabelValue:=1"));
        lines.push(format!("Segment{n}_Layer:={layer}"));
    }
    file(&lines.iter().map(String::as_str).collect::<Vec<_>>(), &gzip(&data))
}

#[test]
fn segments_in_layers_are_the_organs_of_their_names_in_place() {
    // The labels of the phantom are 1, 2, 3: these organs of the anatomy table, in another order than the segments'.
    let named = [("Ear_L", 2), ("Brainstem", 0), ("pharyngeal constrictor", 1)];
    for (n, axes) in all_48_axes().into_iter().enumerate() {
        let bytes = layered(&stored(axes), n % 4, &named);
        let segmentation = read_segmentation(&bytes, None, &STRICT).unwrap().unwrap();
        assert_eq!(segmentation.names(), ["Ear_L", "Brainstem", "pharyngeal constrictor"]);
        let organs = segmentation.organs().unwrap();
        assert_in_place(&organs, &format!("{axes:?}, layers along axis {}", n % 4));
        assert!(organs.warnings.is_empty(), "{:?}", organs.warnings);
        assert!(read_header(&bytes, &STRICT).is_ok());
        assert!(matches!(read_labels(&bytes, &STRICT), Err(NrrdError::Dimensions(_))));
    }
}

#[test]
fn segments_that_are_no_organs_are_named_and_terms_help() {
    let phantom = stored(all_48_axes()[0]);
    let organs = |named: &[(&str, usize)]| {
        read_segmentation(&layered(&phantom, 0, named), None, &STRICT).unwrap().unwrap().organs()
    };
    let some = organs(&[("Brainstem", 0), ("tumour", 1)]).unwrap();
    assert!(some.voxels.iter().all(|&v| v <= 1));
    assert_eq!(some.warnings.len(), 2, "{:?}", some.warnings);
    assert!(some.warnings[0].ends_with("count as background: tumour"), "{:?}", some.warnings);
    assert!(organs(&[("Segment_1", 0)]).unwrap_err().to_string().contains("Segment_1"));
    let tags = "Segment0_Tags:=a:b|TerminologyEntry:list~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left~x~^^|";
    let lines = [
        "type: uint8",
        "dimension: 3",
        "space: LPS",
        "sizes: 2 1 1",
        "space directions: (1,0,0) (0,1,0) (0,0,1)",
        "encoding: raw",
        "space origin: (0,0,0)",
        "Segment0_Name:=Segment_1",
        tags,
    ];
    let kidney = read_segmentation(&file(&lines, &[0, 1]), None, &STRICT).unwrap().unwrap().organs().unwrap();
    assert_eq!(kidney.voxels, [0, crate::anatomy::Organ::KidneyLeft.label()]);
    let plain = file(&lines[..7], &[0, 1]);
    assert_eq!(read_segmentation(&plain, None, &STRICT), Ok(None));
}

#[test]
fn what_a_larger_segment_loses_to_a_smaller_one_is_said() {
    let lines = |first: &str, second: &str| {
        let lines = [
            "type: uint8",
            "dimension: 4",
            "space: LPS",
            "sizes: 2 5 2 1",
            "space directions: none (10,0,0) (0,10,0) (0,0,10)",
            "encoding: raw",
            "space origin: (0,0,0)",
            &format!("Segment0_Name:={first}"),
            "Segment0_LabelValue:=1",
            "Segment0_Layer:=0",
            &format!("Segment1_Name:={second}"),
            "Segment1_LabelValue:=1",
            "Segment1_Layer:=1",
        ];
        // Of ten voxels of 1 ml, eight are in the first layer and voxels 6 to 9 in the second.
        let data: Vec<u8> = (0..10).flat_map(|n| [u8::from(n < 8), u8::from(n >= 6)]).collect();
        read_segmentation(&file(&lines, &data), None, &STRICT).unwrap().unwrap().organs().unwrap()
    };
    let (liver, spleen) = (crate::anatomy::Organ::Liver.label(), crate::anatomy::Organ::Spleen.label());
    let organs = lines("liver", "spleen");
    assert_eq!(organs.voxels, [[liver; 6].as_slice(), &[spleen; 4]].concat());
    assert_eq!(organs.warnings.len(), 1, "{:?}", organs.warnings);
    assert!(
        organs.warnings[0].ends_with("the larger ones lack: Liver 2.00 of 8.00 ml (25.0 %)"),
        "{:?}",
        organs.warnings
    );
    let twice = lines("liver", "Liver");
    assert_eq!((twice.voxels, twice.warnings), (vec![liver; 10], Vec::new()), "one organ in two segments");
}

#[test]
fn damaged_segmentations_never_panic() {
    let bytes = layered(&stored(all_48_axes()[5]), 0, &[("liver", 0), ("spleen", 1)]);
    for damaged in damaged_versions(&bytes, 2000) {
        if let Ok(Some(segmentation)) = read_segmentation(&damaged, None, &LENIENT) {
            let _ = segmentation.organs();
        }
    }
}

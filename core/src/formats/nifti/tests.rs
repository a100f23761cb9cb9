//! What the NIfTI reader and writer promise.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::*;
use crate::formats::analytic::{SPACING, Stored, all_48_axes, assert_in_place, damaged_versions, stored};
use crate::formats::{ReadOptions, SampleType};
use crate::volume::{AxisMap, Geometry, Modality, Volume};

const STRICT: ReadOptions = ReadOptions { allow_missing_orientation: false };
const LENIENT: ReadOptions = ReadOptions { allow_missing_orientation: true };

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A NIfTI-1 file of the test's own making, big- or little-endian, without orientation.
fn encode(size: [usize; 3], datatype: i16, voxels: &[u8], big: bool) -> Vec<u8> {
    let short = |v: i16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
    let mut file = vec![0; 352];
    put(&mut file, 0, &if big { 348i32.to_be_bytes() } else { 348i32.to_le_bytes() });
    for (n, v) in [3, size[0] as i16, size[1] as i16, size[2] as i16].into_iter().enumerate() {
        put(&mut file, 40 + 2 * n, &short(v));
    }
    put(&mut file, 70, &short(datatype));
    floats(&mut file, 76, &[1.0; 4], big);
    floats(&mut file, 108, &[352.0], big);
    put(&mut file, 344, b"n+1\0");
    file.extend(voxels);
    file
}

fn floats(file: &mut [u8], at: usize, values: &[f64], big: bool) {
    for (n, &v) in values.iter().enumerate() {
        let v = v as f32;
        put(file, at + 4 * n, &if big { v.to_be_bytes() } else { v.to_le_bytes() });
    }
}

/// The phantom with an sform: rows in RAS, so x and y change their sign against LPS.
fn with_sform(phantom: &Stored, big: bool) -> Vec<u8> {
    let mut file = encode(phantom.size, 2, &phantom.labels, big);
    put(&mut file, 254, &if big { 1i16.to_be_bytes() } else { 1i16.to_le_bytes() });
    for (r, sign) in [-1.0, -1.0, 1.0].into_iter().enumerate() {
        let s = &phantom.steps;
        floats(
            &mut file,
            280 + 16 * r,
            &[s[0][r], s[1][r], s[2][r], phantom.origin[r]].map(|v| if v == 0.0 { 0.0 } else { sign * v }),
            big,
        );
    }
    file
}

#[test]
fn organs_keep_their_place_in_all_48_orientations_by_sform() {
    for (n, axes) in all_48_axes().into_iter().enumerate() {
        let file = with_sform(&stored(axes), n % 2 == 1);
        let volume = read_labels(&file, &STRICT).unwrap();
        assert_in_place(&volume, &format!("{axes:?}"));
        assert!(volume.warnings.is_empty(), "{:?}", volume.warnings);
    }
}

/// Hamilton's product.
fn multiply(p: [f64; 4], q: [f64; 4]) -> [f64; 4] {
    [
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3],
        p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1],
        p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    ]
}

/// The 24 rotations of a cube as unit quaternions with a >= 0.
fn cube_rotations() -> Vec<[f64; 4]> {
    let mut all = Vec::new();
    for bits in 0..81 {
        let q = [bits % 3, bits / 3 % 3, bits / 9 % 3, bits / 27].map(|v| f64::from(v) - 1.0);
        let square: f64 = q.iter().map(|v| v * v).sum();
        let first = q.iter().find(|v| **v != 0.0).copied().unwrap_or(-1.0);
        if first > 0.0 && [1.0, 2.0, 4.0].contains(&square) {
            all.push(q.map(|v| v / square.sqrt()));
        }
    }
    all
}

#[test]
fn organs_keep_their_place_in_all_48_orientations_by_qform() {
    let rotations = cube_rotations();
    assert_eq!(rotations.len(), 24);
    let mut seen = Vec::new();
    for (n, q) in rotations.into_iter().enumerate() {
        for qfac in [1.0, -1.0] {
            // Voxel axes in RAS: unit vectors turned by q v q*, the third one reversed if qfac says so; then in LPS.
            let axes: [[f64; 3]; 3] = std::array::from_fn(|a| {
                let mut v = [0.0; 4];
                v[a + 1] = if a == 2 { qfac } else { 1.0 };
                let turned = multiply(multiply(q, v), [q[0], -q[1], -q[2], -q[3]]);
                [-turned[1], -turned[2], turned[3]].map(|c: f64| c.round() + 0.0)
            });
            seen.push(format!("{axes:?}"));
            let phantom = stored(axes);
            let big = n % 2 == 0;
            let mut file = encode(phantom.size, 2, &phantom.labels, big);
            put(&mut file, 252, &if big { 1i16.to_be_bytes() } else { 1i16.to_le_bytes() });
            let size = axes.map(|d| SPACING[d.iter().position(|c| c.abs() > 0.5).unwrap()]);
            floats(&mut file, 76, &[qfac, size[0], size[1], size[2]], big);
            let o = phantom.origin;
            floats(&mut file, 256, &[q[1], q[2], q[3], -o[0], -o[1], o[2]], big);
            let volume = read_labels(&file, &STRICT).unwrap();
            assert_in_place(&volume, &format!("{q:?} {qfac}"));
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 48);
}

#[test]
fn what_was_read_is_written_back_on_the_same_grid_bit_for_bit() {
    for axes in all_48_axes() {
        let file = with_sform(&stored(axes), false);
        let volume = read_labels(&file, &STRICT).unwrap();
        let written = write_labels(&volume, "not a medical device").unwrap();
        let plain = gunzip(&written);
        assert_eq!(plain[280..328], file[280..328], "sform of {axes:?}");
        assert_eq!(plain[352..], file[352..], "voxels of {axes:?}");
        assert_eq!(plain[252..256], [1, 0, 1, 0], "qform and sform code");
        assert_eq!(plain[68..72], [0xea, 3, 2, 0], "label intent, uint8");
        assert_eq!(read_labels(&written, &STRICT).unwrap(), volume);
        // The qform alone says the same.
        let mut qform_only = plain.clone();
        put(&mut qform_only, 254, &[0, 0]);
        assert_in_place(&read_labels(&qform_only, &STRICT).unwrap(), &format!("qform of {axes:?}"));
    }
}

#[test]
fn an_oblique_grid_survives_in_sform_and_qform_and_a_sheared_one_in_sform_alone() {
    let (s, c) = (11f64.to_radians().sin(), 11f64.to_radians().cos());
    let oblique = [[0.9 * c, 0.0, -2.0 * s, -80.3], [0.0, 0.9, 0.0, 33.3], [0.9 * s, 0.0, 2.0 * c, 900.7]];
    let mut sheared = oblique;
    sheared[1][0] = 0.004;
    for (affine, qform) in [(oblique, 1), (sheared, 0)] {
        let affine = affine.map(|row| row.map(|v| f64::from(v as f32)));
        let grid = Geometry::new([40, 30, 20], affine).unwrap();
        let ct = Volume::from_stored(grid.clone(), (0..24000).map(|n| n as i16).collect(), Modality::Ct).unwrap();
        let written = write_ct(&ct, "").unwrap();
        let plain = gunzip(&written);
        assert_eq!(plain[252..256], [qform, 0, 1, 0]);
        let back = read_ct(&written, &STRICT).unwrap();
        assert_eq!((&back.stored, &back.voxels), (&grid, &ct.voxels));
        assert!(back.warnings[0].contains("oblique by 11.0 degrees"), "{:?}", back.warnings);
        if qform == 1 {
            let mut qform_only = plain;
            put(&mut qform_only, 254, &[0, 0]);
            assert!(read_ct(&qform_only, &STRICT).unwrap().stored.same_grid(&grid, 0.01));
        }
    }
}

#[test]
fn ten_datatypes_hold_the_same_image() {
    let names = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"];
    // Stored order i + 3 j + 9 k holds 9 i + 3 j + k; x and y run to the right and anterior, so both are reversed.
    let expected: Vec<i16> = (0..27).map(|n| 9 * (2 - n % 3) + 3 * (2 - n / 3 % 3) + n / 9).map(|v| v as i16).collect();
    for name in names {
        let bytes = data(&format!("nifti/datatypes/{name}.nii"));
        assert_eq!(read_header(&bytes, &STRICT).unwrap().sample.name(), name);
        let volume = read_ct(&bytes, &STRICT).unwrap();
        assert_eq!(volume.voxels, expected, "{name}");
        assert_eq!(read_labels(&bytes, &STRICT).unwrap().voxels, expected.iter().map(|&v| v as u8).collect::<Vec<_>>());
        assert_eq!(read::<f32>(&bytes, &STRICT).unwrap().voxels[26], 2.0);
        assert_eq!(volume.axes, AxisMap { perm: [0, 1, 2], flip: [true, true, false] });
        assert_eq!(gunzip(&write_ct(&volume, "").unwrap())[352..], data("nifti/datatypes/int16.nii")[352..]);
    }
}

#[test]
fn big_endian_and_scaled_voxels_give_their_values() {
    let numbers: [i16; 4] = [-1000, 0, 40, 3000];
    for big in [false, true] {
        let bytes: Vec<u8> = numbers.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() }).collect();
        let mut file = encode([1, 1, 4], 4, &bytes, big);
        assert_eq!(read_ct(&file, &LENIENT).unwrap().voxels, numbers);
        floats(&mut file, 112, &[0.5, -7.0], big);
        assert_eq!(read_ct(&file, &LENIENT).unwrap().voxels, [-507, -7, 13, 1493]);
        assert_eq!(read::<f64>(&file, &LENIENT).unwrap().voxels, [-507.0, -7.0, 13.0, 1493.0]);
        assert!(matches!(read_labels(&file, &LENIENT), Err(NiftiError::Samples(_))));
        floats(&mut file, 112, &[f64::INFINITY, 0.0], big);
        assert!(matches!(read_ct(&file, &LENIENT), Err(NiftiError::Scaling(..))));
    }
}

#[test]
fn metres_and_micrometres_become_millimetres() {
    for (units, expected) in [(0, 2.0), (2, 2.0), (1, 2000.0), (3, 0.002)] {
        let mut file = encode([2, 2, 2], 2, &[0; 8], false);
        floats(&mut file, 80, &[2.0; 3], false);
        put(&mut file, 123, &[units]);
        put(&mut file, 252, &[1, 0]);
        let spacing = read_header(&file, &STRICT).unwrap().spacing;
        assert!(spacing.iter().all(|s| (s / expected - 1.0).abs() < 1e-6), "{units}: {spacing:?}");
    }
}

#[test]
fn without_orientation_an_image_is_refused_unless_asked_for() {
    let bytes = data("nifti/minimal.nii.gz");
    assert_eq!(read_labels(&bytes, &STRICT), Err(NiftiError::NoOrientation));
    let header = read_header(&bytes, &STRICT).unwrap();
    assert!(header.geometry.is_err_and(|e| e.contains("left and right")));
    assert_eq!((header.size, header.sample, header.spacing), ([64, 64, 10], SampleType::U8, [3.0; 3]));
    let volume = read_labels(&bytes, &LENIENT).unwrap();
    assert!(volume.warnings[0].contains("no orientation"), "{:?}", volume.warnings);
}

#[test]
fn a_pair_equals_the_single_file() {
    let (header, image) = (data("nifti/minimal.hdr.gz"), data("nifti/minimal.img.gz"));
    let single = read_labels(&data("nifti/minimal.nii.gz"), &LENIENT).unwrap();
    assert_eq!(read_pair_labels(&header, &image, &LENIENT).unwrap(), single);
    assert_eq!(read_pair_labels(&gunzip(&header), &gunzip(&image), &LENIENT).unwrap(), single);
    assert_eq!(read_pair_ct(&gunzip(&header), &image, &LENIENT).unwrap().geometry, single.geometry);
    assert_eq!(read_labels(&header, &LENIENT), Err(NiftiError::ImageMissing));
    assert_eq!(read_pair_labels(&data("nifti/minimal.nii.gz"), &image, &LENIENT), Err(NiftiError::NotAPair));
}

#[test]
fn dimensions_of_one_are_accepted_and_a_series_is_refused_with_its_numbers() {
    let file = |dim: [i16; 8]| {
        let mut file = encode([2, 3, 4], 2, &[1; 48], false);
        dim.iter().enumerate().for_each(|(n, v)| put(&mut file, 40 + 2 * n, &v.to_le_bytes()));
        read_labels(&file, &LENIENT)
    };
    assert_eq!(file([4, 2, 3, 4, 1, 0, 0, 0]).unwrap().stored.size, [2, 3, 4]);
    assert_eq!(file([5, 2, 3, 4, 0, 1, 0, 0]).unwrap().stored.size, [2, 3, 4]);
    assert_eq!(file([2, 2, 3, 0, 0, 0, 0, 0]).unwrap().stored.size, [2, 3, 1]);
    assert_eq!(file([4, 2, 3, 4, 2, 1, 1, 1]), Err(NiftiError::Dimensions("2 x 3 x 4 x 2".into())));
    assert_eq!(file([3, 2, 3, 0, 1, 1, 1, 1]), Err(NiftiError::Dimensions("2 x 3 x 0".into())));
    assert_eq!(file([1, 2, 3, 4, 1, 1, 1, 1]), Err(NiftiError::Dimensions("2".into())));
    assert!(matches!(file([3, -1, 32767, 32767, 1, 1, 1, 1]), Err(NiftiError::Samples(_))));
}

#[test]
fn colours_and_complex_numbers_are_refused_by_name() {
    for (code, name) in [(128, "Rgb24"), (2304, "Rgba32"), (32, "Complex64"), (1536, "Float128"), (1, "unknown")] {
        let error = read_ct(&encode([1; 3], code, &[0; 64], false), &LENIENT).unwrap_err();
        assert!(matches!(&error, NiftiError::DataType(text) if text.contains(name)), "{error}");
    }
}

/// What nibabel wrote as NIfTI-2 (`tests/data/nifti/second.py`): oblique by 10 degrees about x, values in steps of 37.
#[test]
fn the_second_version_is_read_as_nibabel_wrote_it() {
    let (sin, cos) = 10f64.to_radians().sin_cos();
    // RAS of nibabel to LPS: x and y change their sign.
    let expected = [[0.9, 0.0, 0.0, -11.25], [0.0, 1.3 * cos, 2.5 * sin, 7.5], [0.0, -1.3 * sin, 2.5 * cos, 103.125]];
    let grid = Geometry::new([5, 4, 3], expected).unwrap();
    for (name, close_mm) in [("nifti/second.nii.gz", 1e-12), ("nifti/second-big-endian.nii", 1e-9)] {
        let ct = read_ct(&data(name), &STRICT).unwrap();
        assert!(ct.stored.same_grid(&grid, close_mm), "{name}: {:?}", ct.stored);
        // Every stored axis runs as the canonical one.
        assert_eq!(ct.voxels, (0..60).map(|n| 37 * n - 1000).collect::<Vec<i16>>(), "{name}");
        let header = read_header(&data(name), &STRICT).unwrap();
        assert_eq!((header.size, header.sample), ([5, 4, 3], SampleType::I16));
    }
    assert_eq!(read_header(&data("nifti/second.nii.gz"), &STRICT).unwrap().description, "second version");
    let plain = gunzip(&data("nifti/second.nii.gz"));
    assert!(matches!(read_ct(&plain[..500], &STRICT), Err(NiftiError::NotNifti(_))));
    for (at, bytes) in [(0, [1, 0, 0, 0].as_slice()), (16, &[9]), (24, &[0xff; 8]), (168, &[1, 0]), (400, &[0xff; 8])] {
        let mut wrong = plain.clone();
        put(&mut wrong, at, bytes);
        assert!(read_ct(&wrong, &STRICT).is_err(), "byte {at}");
    }
    // More voxels than any memory holds: said by the header, not by an allocation.
    let mut bomb = plain.clone();
    (0..3).for_each(|n| put(&mut bomb, 24 + 8 * n, &(1i64 << 20).to_le_bytes()));
    assert!(read_ct(&bomb, &STRICT).is_err());
    for damaged in damaged_versions(&plain, 400) {
        let _ = read_ct(&damaged, &LENIENT);
        let _ = read_labels(&damaged, &LENIENT);
    }
}

#[test]
fn contradicting_forms_are_told_and_the_sform_wins() {
    let axes = all_48_axes()[0];
    let mut file = with_sform(&stored(axes), false);
    // A qform that says the identity.
    put(&mut file, 252, &[1, 0]);
    let volume = read_labels(&file, &STRICT).unwrap();
    assert_in_place(&volume, "sform");
    assert!(volume.warnings[0].contains("the sform is used"), "{:?}", volume.warnings);
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let good = encode([2, 2, 2], 2, &[0; 8], false);
    let with = |at: usize, values: &[f64]| {
        let mut file = good.clone();
        floats(&mut file, at, values, false);
        file
    };
    for offset in [-1.0, 17.0, 1e30, f64::NAN, 352.5] {
        assert!(matches!(read_ct(&with(108, &[offset]), &LENIENT), Err(NiftiError::Offset(_))), "{offset}");
    }
    assert!(matches!(read_ct(&with(108, &[4000.0]), &LENIENT), Err(NiftiError::Samples(_))));
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(read_ct(&with(80, &[size]), &LENIENT), Err(NiftiError::VoxelSize(..))), "{size}");
    }
    let mut sheared = with_sform(&stored(all_48_axes()[0]), false);
    floats(&mut sheared, 284, &[1.0], false);
    assert!(matches!(read_labels(&sheared, &STRICT), Err(NiftiError::Geometry(_))));
    let damaged = &gzip(&good)[..40];
    assert!(read_ct(damaged, &LENIENT).is_err());
}

#[test]
fn malformed_files_give_an_error() {
    for name in [
        "crash-08123ef33416bd6f0c5fa63d44b681b8581d62a0",
        "crash-1.nii",
        "crash-d03c6346fe83a026738f6b8cd2a9335a3f8cb158",
    ] {
        let bytes = data(&format!("nifti/malformed/{name}"));
        assert!(read_ct(&bytes, &LENIENT).is_err(), "{name}");
        assert!(read_labels(&gzip(&bytes), &LENIENT).is_err(), "{name}");
        assert!(read_header(&bytes, &LENIENT).is_err(), "{name}");
    }
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let phantom = with_sform(&stored(all_48_axes()[5]), false);
    let files = [
        data("nifti/minimal.nii.gz"),
        data("nifti/datatypes/int16.nii"),
        data("nifti/datatypes/float64.nii"),
        gzip(&phantom),
        phantom,
    ];
    let mut read = 0;
    for file in &files {
        for damaged in damaged_versions(file, 1500) {
            read += usize::from(read_ct(&damaged, &LENIENT).is_ok());
            let _ = read_labels(&damaged, &STRICT);
            let _ = read_header(&damaged, &STRICT);
        }
    }
    // Some damage is harmless, most is not: both paths were walked.
    assert!((100..7000).contains(&read), "{read}");
    let (header, image) = (data("nifti/minimal.hdr.gz"), data("nifti/minimal.img.gz"));
    for damaged in damaged_versions(&gunzip(&header), 500) {
        let _ = read_pair_ct(&damaged, &image, &LENIENT);
    }
    for damaged in damaged_versions(&image, 500) {
        let _ = read_pair_ct(&header, &damaged, &LENIENT);
    }
}

/// Constants by nibabel 5.4.2.
#[test]
fn a_real_ct_equals_what_nibabel_reads() {
    let ras =
        [[3.0, 0.0, 0.0, -177.95632934570312], [0.0, 3.0, 0.0, 11.319000244140625], [0.0, 0.0, 3.0, 94.3017578125]];
    let (ct_file, label_file) = (data("ct-trunk-small.nii.gz"), data("ct-trunk-small.labels.nii.gz"));
    let ct = read_ct(&ct_file, &STRICT).unwrap();
    assert_eq!(ct.stored.size, [122, 101, 30]);
    assert_eq!(ct.voxels.iter().map(|&v| i64::from(v)).sum::<i64>(), CT_SUM);
    assert_eq!((ct.voxels.iter().min(), ct.voxels.iter().max()), (Some(&-1100), Some(&1207)));
    for r in 0..3 {
        let sign = if r < 2 { -1.0 } else { 1.0 };
        assert_eq!(ct.stored.affine[r], ras[r].map(|v| sign * v));
    }
    // Stored voxels [i, j, k] as nibabel indexes them; x and y run to the right and anterior.
    for (i, j, k, hu) in CT_VOXELS {
        assert_eq!(ct.voxels[(121 - i) + 122 * ((100 - j) + 101 * k)], hu, "{i} {j} {k}");
    }
    let labels = read_labels(&label_file, &STRICT).unwrap();
    assert_eq!(labels.voxels.iter().map(|&v| i64::from(v)).sum::<i64>(), LABEL_SUM);
    assert!(labels.geometry.same_grid(&ct.geometry, 1e-9));
    let written = write_labels(&labels, "").unwrap();
    let (back, original) = (gunzip(&written), gunzip(&label_file));
    assert_eq!(back[280..328], original[280..328]);
    // The original has a header extension before its voxels.
    assert!(original.ends_with(&back[352..]) && back.len() - 352 == 122 * 101 * 30);
}

const CT_SUM: i64 = -130894872;
const LABEL_SUM: i64 = 2734697;
const CT_VOXELS: [(usize, usize, usize, i16); 5] =
    [(60, 50, 15, -17), (30, 70, 3, -81), (90, 40, 28, 58), (121, 100, 29, -997), (61, 20, 10, -58)];

//! Files that other programs wrote (tests/data/README.md says whose), against what other programs read from them.

use std::io::Read;

use super::super::{DicomError, SeriesChoice, list_series};
use super::{archive, decode_slice, folder, read_series};
use crate::volume::{CtVolume, GeometryError, Modality};

/// The file of `dicom-transfer-syntaxes` with this syntax.
fn slice(uid: &str) -> Vec<u8> {
    let end = format!("_{uid}.dcm");
    archive("dicom-transfer-syntaxes").into_iter().find(|(name, _)| name.ends_with(&end)).unwrap().1
}

fn reference() -> Vec<i16> {
    let files = archive("dicom-transfer-syntaxes");
    decode_slice(&files.iter().find(|(name, _)| name == "reference.dcm").unwrap().1).unwrap()
}

#[test]
fn lossless_transfer_syntaxes_give_exactly_the_reference() {
    let reference = reference();
    // Stored -2000 to 2402, intercept -1024 (seen with pydicom).
    assert_eq!((reference.iter().min(), reference.iter().max()), (Some(&-3024), Some(&1378)));
    for uid in ["2", "2.1", "2.2", "2.1.99", "2.4.57", "2.4.70", "2.4.80", "2.4.90", "2.5"] {
        let uid = format!("1.2.840.10008.1.{uid}");
        assert!(decode_slice(&slice(&uid)).unwrap() == reference, "{uid}");
    }
}

#[test]
fn lossy_transfer_syntaxes_stay_as_close_to_the_reference_as_their_compression() {
    let reference = reference();
    // Largest error in HU that pydicom with OpenJPEG and libjpeg finds in the same files, and one step of rounding.
    for (uid, tolerance) in [("91", 5 + 1), ("51", 36 + 3), ("50", 64 + 33)] {
        let found = decode_slice(&slice(&format!("1.2.840.10008.1.2.4.{uid}"))).unwrap();
        let worst = found.iter().zip(&reference).map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs()).max().unwrap();
        assert!(worst <= tolerance, "{uid}: {worst} HU");
    }
}

/// Row, column and stored value where libjpeg and libjpeg-turbo agree on the 12 bit slice, and the sum of all values that
/// libjpeg-turbo gives.
const TWELVE_BIT: [(usize, usize, f64); 6] =
    [(0, 0, 511.0), (256, 256, 2056.0), (100, 300, 1528.0), (300, 100, 1987.0), (511, 511, 511.0), (200, 250, 2132.0)];
const TWELVE_BIT_SUM: f64 = 405_866_194.0;

#[test]
fn twelve_bit_jpeg_agrees_with_two_other_decoders() {
    let found = decode_slice(&slice("1.2.840.10008.1.2.4.51")).unwrap();
    let stored: Vec<f64> = found.iter().map(|&hu| ((f64::from(hu) + 4047.0) / 2.0002442).round()).collect();
    for (row, column, value) in TWELVE_BIT {
        assert!((stored[row * 512 + column] - value).abs() <= 1.0, "{row} {column}");
    }
    // The two differ by one in 4 % of the pixels, and by 0.026 in the mean.
    let bias = (stored.iter().sum::<f64>() - TWELVE_BIT_SUM) / stored.len() as f64;
    assert!(bias.abs() < 0.05, "{bias}");
}

#[test]
fn syntaxes_that_are_not_decoded_are_named() {
    let patched = |from: &str, to: &str| {
        let mut bytes = slice(from);
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let base = "1.2.840.10008.1.2.4.";
    for (uid, like, name) in [("53", "53", "Spectral Selection"), ("55", "53", "Full Progression")] {
        let uid = format!("{base}{uid}");
        let error = decode_slice(&patched(&format!("{base}{like}"), &uid)).unwrap_err();
        assert!(matches!(&error, DicomError::UnsupportedSyntax { uid: u, .. } if *u == uid), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(name) && text.contains(&uid) && text.contains("export the series uncompressed"),
            "{text}"
        );
    }
}

#[test]
fn jpeg_2000_series_is_read_in_place() {
    let mut files = archive("ct-dicom-jpeg2000");
    files.rotate_left(1);
    files.swap(0, 2);
    let (volume, info, all) = read_series(files, SeriesChoice::Best).unwrap();
    assert_eq!((all.len(), info.slices, info.size), (1, 4, [512, 512]));
    assert_eq!(volume.modality, Modality::Ct);
    let spacing = volume.geometry.spacing();
    assert!(
        (spacing[0] - 0.9765625).abs() < 1e-9
            && (spacing[1] - 0.9765625).abs() < 1e-9
            && (spacing[2] - 2.0).abs() < 1e-9
    );
    let origin = volume.geometry.to_patient([0.0; 3]);
    assert_eq!(origin, [-249.51171875, -437.51171875, -772.5]);
    // HU sums and voxels that pydicom with OpenJPEG reads from the same slices, lowest first.
    let sums = [-163094955i64, -163068677, -163019926, -163079110];
    for (k, sum) in sums.into_iter().enumerate() {
        assert_eq!(volume.slice(k).iter().map(|&v| i64::from(v)).sum::<i64>(), sum, "slice {k}");
    }
    assert_eq!(volume.slice(3)[200 * 512 + 300], 19);
    assert_eq!(volume.slice(3)[300 * 512 + 200], 106);
    assert_eq!(volume.slice(0)[200 * 512 + 300], 64);
}

#[test]
fn structure_sets_beside_the_slices_are_skipped_and_padding_is_air() {
    let files = folder("rtstruct", "mock_data");
    let (volume, info, _) = read_series(files, SeriesChoice::Best).unwrap();
    assert_eq!((info.slices, info.patient_position.as_str()), (2, "HFS"));
    assert!(volume.warnings.iter().any(|w| w.contains("2 RTSTRUCT")), "{:?}", volume.warnings);
    // pydicom: 55772 of the pixels of each slice are padding (-2000); the sums with -1000 HU in their place.
    assert_eq!(volume.slice(0).iter().map(|&v| i64::from(v)).sum::<i64>(), -106141839);
    assert_eq!(volume.slice(1).iter().map(|&v| i64::from(v)).sum::<i64>(), -106141274);
    assert_eq!(info.instances.len(), 2);
    assert!(info.instances.iter().all(|i| i.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2" && i.frame.is_none()));
}

#[test]
fn a_steep_oblique_series_is_refused_with_its_angle() {
    let error = read_series(folder("rtstruct", "oriented_data"), SeriesChoice::Best).unwrap_err();
    assert!(
        matches!(error, DicomError::Geometry(GeometryError::Oblique(angle)) if (20.0..45.0).contains(&angle)),
        "{error}"
    );
}

#[test]
fn geometry_that_is_no_grid_is_refused_with_its_numbers() {
    // Headers only: geometry is judged before any pixel is touched.
    let problem = |name: &str| list_series(&folder("dicom-geometry", name)).unwrap()[0].problem.clone().unwrap();
    let tilt = problem("gantrytilting-001");
    assert!(matches!(tilt, DicomError::GantryTilt { degrees } if (degrees - 14.0).abs() < 0.01), "{tilt}");
    let gap = problem("sliceincrement-001");
    assert!(
        matches!(&gap, DicomError::MissingSlices { missing: 1, spacing, .. } if (spacing - 5.0).abs() < 1e-3),
        "{gap}"
    );
    assert!(gap.to_string().contains("1 between z = 28.11 and 38.11 mm"), "{gap}");
    let mixed = problem("sliceorientation-001");
    assert!(
        matches!(mixed, DicomError::MixedOrientation { odd: 2, slices: 4, degrees, .. } if degrees > 80.0),
        "{mixed}"
    );
    for name in ["gantrytilting-001", "sliceincrement-001", "sliceorientation-001"] {
        assert_eq!(read_series(folder("dicom-geometry", name), SeriesChoice::Best).unwrap_err(), problem(name));
    }
}

/// Every voxel of a volume that another program wrote as NIfTI, at the same place with the same value (to 0.5, where the
/// other one keeps fractions).
fn assert_matches_expected(volume: &CtVolume, name: &str) {
    let path = format!("{}/../tests/data/dicom-geometry/{name}.expected.nii.gz", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    let header = nifti::NiftiHeader::from_reader(bytes.as_slice()).unwrap();
    let [nx, ny, nz] = [1, 2, 3].map(|a| usize::from(header.dim[a]));
    assert_eq!(nx * ny * nz, volume.voxels.len());
    assert!(header.sform_code > 0 && header.scl_slope == 1.0 && header.scl_inter == 0.0);
    let data = &bytes[header.vox_offset as usize..];
    let value = |n: usize| match header.datatype {
        512 => f64::from(u16::from_le_bytes(data[2 * n..2 * n + 2].try_into().unwrap())),
        64 => f64::from_le_bytes(data[8 * n..8 * n + 8].try_into().unwrap()),
        other => panic!("datatype {other}"),
    };
    let rows = [header.srow_x, header.srow_y, header.srow_z];
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..nx * ny * nz {
        let ijk = [n % nx, n / nx % ny, n / (nx * ny)];
        let world = rows.map(|r| f64::from(r[3]) + (0..3).map(|a| f64::from(r[a]) * ijk[a] as f64).sum::<f64>());
        // NIfTI is RAS.
        let found = volume.geometry.to_index([-world[0], -world[1], world[2]]);
        let at = found.map(|v| v.round());
        assert!((0..3).all(|a| (found[a] - at[a]).abs() < 1e-3), "{ijk:?} lies at {found:?}");
        let [i, j, k] = at.map(|v| v as usize);
        let size = volume.geometry.size;
        let place = i + size[0] * (j + size[1] * k);
        seen.insert(place);
        let expected = value(n);
        assert!((f64::from(volume.voxels[place]) - expected).abs() <= 0.5 + 1e-4, "{ijk:?}: {expected}");
    }
    assert_eq!(seen.len(), volume.voxels.len());
}

#[test]
fn two_sagittal_slices_match_the_volume_of_another_program() {
    let (volume, info, _) = read_series(folder("dicom-geometry", "slicecount-001"), SeriesChoice::Best).unwrap();
    assert_eq!(volume.modality, Modality::Other("MR".into()));
    assert_eq!((info.slices, info.spacing), (2, Some([1.0, 1.0, 1.0])));
    assert_matches_expected(&volume, "slicecount-001");
}

#[test]
fn row_spacing_comes_first() {
    let (volume, info, _) = read_series(folder("dicom-geometry", "non-isotropic"), SeriesChoice::Best).unwrap();
    // PixelSpacing 4.0\6.4: a row is 6.4 mm from column to column, rows lie 4.0 mm apart.
    let [i, j, _] = info.spacing.unwrap();
    assert!((i - 6.39995861053464).abs() < 1e-9 && (j - 4.0).abs() < 1e-9);
    assert_matches_expected(&volume, "non-isotropic");
}

#[test]
fn reports_without_pixels_and_images_without_spacing_are_told_apart() {
    let files = archive("dicom-broken");
    let one = |name: &str| files.iter().filter(|(n, _)| n == name).cloned().collect::<Vec<_>>();
    let error = read_series(one("no-pixel-data.dcm"), SeriesChoice::Best).unwrap_err();
    assert_eq!(error, DicomError::NoImages { files: 1, found: "1 SR".into() });
    let error = read_series(one("no-pixel-spacing.dcm"), SeriesChoice::Best).unwrap_err();
    assert!(
        matches!(&error, DicomError::MissingAttribute { attribute, .. } if attribute.starts_with("PixelSpacing")),
        "{error}"
    );
}

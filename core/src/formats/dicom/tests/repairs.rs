//! What is mended only when somebody asks: gaps, tilted gantries; and one slice alone, whose file says how thick it is.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::super::{DicomError, Repair, Repairs, SeriesChoice, SeriesRequest, SeriesSurvey, find_series};
use super::{SliceFile, read_series, series};
use crate::formats::analytic::derive;
use crate::formats::finding::{Finding, Weight};
use crate::formats::rtstruct::{self, WriteOptions};
use crate::formats::seg;
use crate::formats::structures::{Drawn, SeriesLink, Structure, TargetGrid};

fn asking(repairs: Repairs) -> SeriesRequest {
    SeriesRequest { choice: SeriesChoice::Best, repairs }
}

const FILL: Repairs = Repairs { fill_gaps: true, correct_tilt: false };
const TILT: Repairs = Repairs { fill_gaps: false, correct_tilt: true };

/// Slices at heights 0, 2, 4..., each of one value (10 k HU), without some.
fn with_gaps(n: usize, gone: &[usize]) -> Vec<(String, Vec<u8>)> {
    let files = series(n, 2.0, |k, slice| slice.pixels(&[1024 + 10 * k as u16; 24]));
    files.into_iter().enumerate().filter(|(k, _)| !gone.contains(k)).map(|(_, file)| file).collect()
}

#[test]
fn two_missing_slices_are_filled_in_marked_and_not_written_on() {
    for gone in [&[3, 4][..], &[2, 6]] {
        let refused = read_series(with_gaps(9, gone), SeriesChoice::Best).unwrap_err();
        assert!(matches!(refused, DicomError::MissingSlices { missing: 2, .. }), "{refused}");
        assert_eq!((TILT.lacks(&refused), FILL.lacks(&refused)), (Some(Repair::FillGaps), None));
        let (ct, info, _) = read_series(with_gaps(9, gone), asking(FILL)).unwrap();
        assert_eq!((ct.geometry.size, info.slices), ([6, 4, 9], 9));
        for k in 0..9 {
            assert!(ct.slice(k).iter().all(|&v| v == 10 * k as i16), "slice {k}: {:?}", ct.slice(k));
            assert_eq!(info.instances[k].interpolated, gone.contains(&k));
            assert_eq!(info.instances[k].position, Some([0.0, 0.0, 2.0 * k as f64]));
        }
        let said = ct.warnings.iter().find(|w| w.contains("interpolated")).unwrap();
        assert!(said.contains(&format!("z = {}.00 mm and z = {}.00 mm", 2 * gone[0], 2 * gone[1])), "{said}");

        // An organ on all slices is written on those that there are.
        let labels = ct.with_voxels((0..216).map(|n| u8::from(n % 6 < 3)).collect());
        let structures = Structure::organs(&labels, |_| Drawn::Automatic);
        let bytes =
            derive(&info, |made| rtstruct::write(&structures, &labels.geometry, &WriteOptions::default(), made));
        let set = rtstruct::read(&bytes.unwrap()).unwrap();
        let drawn: Vec<String> = set.rois[0].contours.iter().map(|c| c.image.clone()).collect();
        let there: Vec<String> = (0..9).filter(|k| !gone.contains(k)).map(|k| format!("1.2.3.{k}")).collect();
        assert_eq!(drawn, there);
        let bytes = derive(&info, |made| seg::write(&structures, &labels.geometry, made)).unwrap();
        let grid = TargetGrid::of(&ct);
        let back = seg::structures(&seg::read(&bytes).unwrap(), Some(&grid), Some(&SeriesLink::from(&info))).unwrap();
        for k in 0..9 {
            let inside = back.labels.slice(k).iter().filter(|&&v| v != 0).count();
            assert_eq!(inside, if gone.contains(&k) { 0 } else { 12 }, "slice {k}");
        }
    }
    // A check says so, too: of what is wrong, and of nothing else.
    let mended = |files| {
        let wrong = |finding: Finding| (finding.weight == Weight::Wrong).then_some(finding.repair);
        crate::formats::check(files).into_iter().filter_map(wrong).collect::<Vec<_>>()
    };
    assert_eq!(mended(with_gaps(9, &[3])), [Some(Repair::FillGaps)]);
    assert_eq!(mended(tilted(DEGREES, 12)), [Some(Repair::CorrectTilt)]);
    assert_eq!(mended(with_gaps(9, &[2, 3, 5])), [None::<Repair>]);
    let three = read_series(with_gaps(9, &[2, 3, 5]), asking(FILL)).unwrap_err();
    assert!(matches!(three, DicomError::MissingSlices { missing: 3, .. }), "{three}");
    assert_eq!(Repair::of(&three), None);
    // A whole series is what it was.
    assert_eq!(
        read_series(with_gaps(9, &[]), asking(FILL)).unwrap().0,
        read_series(with_gaps(9, &[]), SeriesChoice::Best).unwrap().0
    );
}

const DEGREES: f64 = 14.0;
const SIZE: [u16; 2] = [20, 30];
const STEP_MM: f64 = 5.0;

/// HU at a place in the patient: linear, so that any interpolation gives the very value.
fn hu(point: [f64; 3]) -> f64 {
    3.0 * point[0] + 4.0 * point[1] - 2.0 * point[2]
}

/// A series with its gantry tilted: slices are turned about x, and the table moves along z.
fn tilted(degrees: f64, slices: usize) -> Vec<(String, Vec<u8>)> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let [columns, rows] = SIZE;
    (0..slices)
        .map(|k| {
            let position = [-19.0, -29.0, 40.0 + STEP_MM * k as f64];
            let pixel = |n: usize| {
                let (x, y) = (2.0 * (n % 20) as f64, 2.0 * (n / 20) as f64);
                let value = hu([position[0] + x, position[1] + y * cos, position[2] - y * sin]);
                (value + 1024.0).round() as u16
            };
            let stored: Vec<u16> = (0..usize::from(columns) * usize::from(rows)).map(pixel).collect();
            let slice = SliceFile::axial(k, 0.0, columns, rows)
                .numbers(tags::IMAGE_POSITION_PATIENT, &position)
                .numbers(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, cos, -sin])
                .pixels(&stored);
            (format!("{k}.dcm"), slice.write())
        })
        .collect()
}

#[test]
fn a_tilted_series_stands_upright_and_its_contours_go_back_into_the_tilted_slices() {
    for degrees in [DEGREES, -DEGREES] {
        let refused = read_series(tilted(degrees, 12), asking(FILL)).unwrap_err();
        assert!(matches!(refused, DicomError::GantryTilt { .. }), "{refused}");
        assert_eq!((FILL.lacks(&refused), TILT.lacks(&refused)), (Some(Repair::CorrectTilt), None));
        // The same files, once somebody has said so.
        let survey = SeriesSurvey::of(tilted(degrees, 12)).unwrap();
        assert_eq!(survey.series()[0].problem.as_ref(), Some(&refused));
        let survey = survey.repaired(Repairs::default().and(Repair::CorrectTilt)).unwrap();
        assert_eq!(survey.series()[0].problem, None);
        let (ct, info, _) = read_series(tilted(degrees, 12), asking(TILT)).unwrap();
        assert!((info.corrected_tilt.unwrap() - DEGREES).abs() < 0.01);
        assert!(ct.warnings.iter().any(|w| w.contains("14.0 degrees")), "{:?}", ct.warnings);
        // 11 steps of 5 mm shift the last slice by 13.3 mm, 6.65 pixels of 2 mm.
        assert_eq!(ct.stored.size, [20, 37, 12]);
        let (mut inside, mut air) = (0, 0);
        for (n, &value) in ct.voxels.iter().enumerate() {
            let [w, h, _] = ct.geometry.size;
            let at = ct.geometry.to_patient([n % w, n / w % h, n / (w * h)].map(|v| v as f64));
            if value == -1000 {
                air += 1;
            } else if (f64::from(value) - hu(at)).abs() <= 1.01 {
                inside += 1;
            }
        }
        // All that was measured is there, but for the rows at the edges, which are mixed with air.
        assert!((20 * 29 * 12..=20 * 30 * 12).contains(&inside), "{inside} of {}", ct.voxels.len());
        assert!(inside + air >= ct.voxels.len() - 2 * 20 * 12);

        let mask = |n: usize| {
            let [w, h, _] = ct.geometry.size;
            let [x, y, z] = [n % w, n / w % h, n / (w * h)];
            u8::from((5..15).contains(&x) && (12..22).contains(&y) && (2..9).contains(&z))
        };
        let labels = ct.with_voxels((0..ct.voxels.len()).map(mask).collect());
        let structures = Structure::organs(&labels, |_| Drawn::Automatic);
        let bytes =
            derive(&info, |made| rtstruct::write(&structures, &labels.geometry, &WriteOptions::default(), made));
        let set = rtstruct::read(&bytes.unwrap()).unwrap();
        let (sin, cos) = degrees.to_radians().sin_cos();
        for contour in &set.rois[0].contours {
            let k: usize = contour.image.rsplit('.').next().unwrap().parse().unwrap();
            let origin = [-19.0, -29.0, 40.0 + STEP_MM * k as f64];
            for point in &contour.points {
                let off = (point[1] - origin[1]) * sin + (point[2] - origin[2]) * cos;
                assert!(off.abs() < 1e-3, "{off} mm out of the plane of the slice that the contour names");
            }
        }
        // Another program that knows nothing of the correction counts as many voxels; this one finds the same.
        let reference = find_series(&tilted(degrees, 12), asking(TILT)).unwrap();
        assert_eq!(reference, info);
        let grid = TargetGrid::new(reference.grid.clone().unwrap()).unwrap();
        let back = rtstruct::structures(&set, &grid, Some(&SeriesLink::from(&reference))).unwrap();
        assert_eq!(back.labels.voxels, labels.voxels, "{:?}", back.warnings);
        let bytes = derive(&info, |made| seg::write(&structures, &labels.geometry, made)).unwrap();
        let back = seg::structures(&seg::read(&bytes).unwrap(), Some(&grid), Some(&SeriesLink::from(&reference)));
        assert_eq!(back.unwrap().labels.voxels, labels.voxels);
    }
    // What is upright is not touched, and what leans more than any gantry is no tilt.
    let upright = |request| read_series(tilted(0.0, 12), request).unwrap().0;
    assert_eq!(upright(asking(TILT)), upright(SeriesRequest::default()));
    let leaning = read_series(tilted(50.0, 12), asking(TILT)).unwrap_err();
    assert!(matches!(leaning, DicomError::GantryTilt { .. }), "{leaning}");
    assert_eq!(Repair::of(&leaning), None);
}

#[test]
fn one_slice_is_as_thick_as_its_file_says() {
    let one = |change: &dyn Fn(SliceFile) -> SliceFile| {
        read_series(series(1, 1.0, |_, slice| change(slice)), SeriesChoice::Best)
    };
    assert_eq!(one(&|slice| slice).unwrap_err(), DicomError::SingleSlice);
    let thick = |mm: &str| {
        let mm = mm.to_owned();
        move |slice: SliceFile| slice.text(tags::SLICE_THICKNESS, VR::DS, &mm)
    };
    for unusable in ["", "0", "-2", "thick"] {
        assert_eq!(one(&thick(unusable)).unwrap_err(), DicomError::SingleSlice, "{unusable}");
    }
    let apart = |slice: SliceFile| slice.text(tags::SPACING_BETWEEN_SLICES, VR::DS, "3");
    for (change, mm) in [
        (&thick("2.5") as &dyn Fn(SliceFile) -> SliceFile, 2.5),
        (&apart, 3.0),
        // Of one slice the thickness says how much of the patient it shows.
        (&|slice| apart(thick("2.5")(slice)), 2.5),
        (&|slice| apart(thick("")(slice)), 3.0),
    ] {
        let (ct, info, _) = one(change).unwrap();
        assert_eq!((ct.geometry.size, ct.geometry.spacing()), ([6, 4, 1], [2.0, 2.0, mm]));
        assert!(ct.warnings.iter().any(|w| w.contains(&format!("{mm:.2} mm thick"))), "{:?}", ct.warnings);
        assert_eq!(info.instances[0].sop_instance_uid, "1.2.3.0");
    }
}

#[test]
fn screenshots_are_set_aside_and_secondary_captures_of_slices_are_not() {
    let capture = |n: usize, slice: SliceFile| {
        slice
            .text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.7")
            .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.9.{n}"))
            .text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.9")
    };
    let mut files = series(4, 2.0, |_, slice| slice);
    files.extend(series(2, 2.0, |n, slice| capture(n, slice).without(tags::IMAGE_POSITION_PATIENT)));
    let (ct, _, all) = read_series(files, SeriesChoice::Best).unwrap();
    assert_eq!((ct.geometry.size, all.len()), ([6, 4, 4], 1));
    assert!(ct.warnings.iter().any(|w| w.contains("2 secondary capture")), "{:?}", ct.warnings);
    let slices = series(4, 2.0, capture);
    assert_eq!(read_series(slices, SeriesChoice::Best).unwrap().0.geometry.size, [6, 4, 4]);
}

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::*;
use crate::anatomy::{ORGAN_COUNT, Organ, OrganSet, Side};
use crate::dataset::regions::Landmark;
use crate::formats::{ReadOptions, nifti};
use crate::preprocess::Body;

/// Patients of all three contrast phases, with and without arms.
const SEEDS: [u64; 3] = [1, 2, 10];

fn whole(seed: u64) -> PhantomOptions {
    PhantomOptions { seed, ..PhantomOptions::default() }
}

/// Whole bodies, made once for all tests.
fn bodies() -> &'static [(Phantom, CtVolume, LabelVolume)] {
    static BODIES: OnceLock<Vec<(Phantom, CtVolume, LabelVolume)>> = OnceLock::new();
    BODIES.get_or_init(|| {
        let make = |seed: u64| {
            let phantom = Phantom::new(whole(seed)).unwrap();
            let (ct, labels) = phantom.volume().unwrap();
            (phantom, ct, labels)
        };
        SEEDS.into_iter().map(make).collect()
    })
}

/// Of each organ: voxels, centre in patient mm, mean HU, lowest and highest slice.
#[derive(Clone, Copy, Default)]
struct Found {
    voxels: f64,
    centre: [f64; 3],
    hu: f64,
    low: usize,
    high: usize,
}

fn measure(ct: &CtVolume, labels: &LabelVolume) -> Vec<Found> {
    let [nx, ny, nz] = labels.geometry.size;
    let mut found = vec![Found { low: usize::MAX, ..Found::default() }; ORGAN_COUNT];
    for k in 0..nz {
        for (n, (&label, &hu)) in labels.slice(k).iter().zip(ct.slice(k)).enumerate() {
            let Some(organ) = Organ::from_label(label) else { continue };
            let f = &mut found[organ.index()];
            let at = labels.geometry.to_patient([(n % nx) as f64, (n / nx % ny) as f64, k as f64]);
            f.voxels += 1.0;
            f.hu += f64::from(hu);
            (0..3).for_each(|a| f.centre[a] += at[a]);
            f.low = f.low.min(k);
            f.high = f.high.max(k);
        }
    }
    for f in found.iter_mut().filter(|f| f.voxels > 0.0) {
        f.hu /= f.voxels;
        f.centre = f.centre.map(|c| c / f.voxels);
    }
    found
}

/// Volume in ml and mean HU that each organ may have, wide enough for small and large adults with and without contrast medium.
#[rustfmt::skip] // a table is read in columns
const PLAUSIBLE: [(Organ, [f64; 2], [f64; 2]); ORGAN_COUNT] = [
    (Organ::BrainStem, [18.0, 45.0], [10.0, 60.0]),
    (Organ::ConstrictorNaris, [6.0, 40.0], [-120.0, 90.0]),
    (Organ::EarLeft, [2.5, 8.0], [200.0, 1100.0]),
    (Organ::EarRight, [2.5, 8.0], [200.0, 1100.0]),
    (Organ::EyeLeft, [4.2, 11.5], [0.0, 40.0]),
    (Organ::EyeRight, [4.2, 11.5], [0.0, 40.0]),
    (Organ::Hypophysis, [0.3, 1.7], [20.0, 250.0]),
    (Organ::Larynx, [15.0, 55.0], [-450.0, 120.0]),
    (Organ::Mandible, [35.0, 100.0], [350.0, 1000.0]),
    (Organ::OralCavity, [38.0, 120.0], [-60.0, 90.0]),
    (Organ::ParotidLeft, [14.0, 45.0], [-60.0, 80.0]),
    (Organ::ParotidRight, [14.0, 45.0], [-60.0, 80.0]),
    (Organ::SubmandibularGlandLeft, [3.0, 13.0], [10.0, 110.0]),
    (Organ::SubmandibularGlandRight, [3.0, 13.0], [10.0, 110.0]),
    (Organ::SpinalCord, [16.0, 72.0], [15.0, 60.0]),
    (Organ::SublingualGland, [2.0, 11.0], [-20.0, 110.0]),
    (Organ::TemporalLobeLeft, [28.0, 95.0], [15.0, 70.0]),
    (Organ::TemporalLobeRight, [28.0, 95.0], [15.0, 70.0]),
    (Organ::TmjLeft, [1.8, 5.5], [100.0, 800.0]),
    (Organ::TmjRight, [1.8, 5.5], [100.0, 800.0]),
    (Organ::Trachea, [20.0, 60.0], [-900.0, -450.0]),
    (Organ::Heart, [360.0, 960.0], [0.0, 220.0]),
    (Organ::LungLeft, [900.0, 2800.0], [-880.0, -650.0]),
    (Organ::LungRight, [1000.0, 3000.0], [-880.0, -650.0]),
    (Organ::Esophagus, [22.0, 80.0], [-60.0, 100.0]),
    (Organ::Gallbladder, [8.0, 45.0], [0.0, 45.0]),
    (Organ::KidneyLeft, [70.0, 250.0], [15.0, 220.0]),
    (Organ::KidneyRight, [70.0, 250.0], [15.0, 220.0]),
    (Organ::BowelBag, [900.0, 3000.0], [-120.0, 30.0]),
    (Organ::Liver, [1000.0, 2700.0], [35.0, 135.0]),
    (Organ::Pancreas, [30.0, 130.0], [0.0, 115.0]),
    (Organ::Spleen, [85.0, 350.0], [30.0, 145.0]),
    (Organ::Stomach, [200.0, 700.0], [-700.0, 60.0]),
];

#[test]
fn every_organ_is_there_in_a_plausible_size_and_density() {
    for (phantom, ct, labels) in bodies() {
        let found = measure(ct, labels);
        let mut wrong = Vec::new();
        for (organ, ml, hu) in PLAUSIBLE {
            let f = found[organ.index()];
            let volume = f.voxels * labels.geometry.voxel_ml();
            if !(ml[0]..=ml[1]).contains(&volume) || !(hu[0]..=hu[1]).contains(&f.hu) {
                wrong.push(format!("{organ}: {volume:.1} ml of {ml:?}, {:.0} HU of {hu:?}", f.hu));
            }
        }
        assert!(wrong.is_empty(), "seed {}, {:?}:\n{}", phantom.options.seed, phantom.contrast(), wrong.join("\n"));
    }
}

#[test]
fn paired_organs_lie_on_their_sides_and_single_ones_where_people_have_them() {
    for (_, ct, labels) in bodies() {
        let found = measure(ct, labels);
        let x = |organ: Organ| found[organ.index()].centre[0];
        for organ in Organ::ALL {
            match organ.side() {
                Side::Left => assert!(x(organ) > 10.0, "{organ} at {:.0}", x(organ)),
                Side::Right => assert!(x(organ) < -10.0, "{organ} at {:.0}", x(organ)),
                Side::Midline => assert!(x(organ).abs() < 20.0, "{organ} at {:.0}", x(organ)),
                Side::Unpaired => {}
            }
        }
        assert!(x(Organ::Liver) < -25.0 && x(Organ::Gallbladder) < -15.0);
        assert!(x(Organ::Heart) > 3.0 && x(Organ::Spleen) > 50.0 && x(Organ::Stomach) > 15.0);
        let y = |organ: Organ| found[organ.index()].centre[1];
        assert!(y(Organ::SpinalCord) > y(Organ::Esophagus) && y(Organ::Esophagus) > y(Organ::Trachea) - 5.0);
        assert!(y(Organ::KidneyLeft) > y(Organ::Stomach) && y(Organ::EyeLeft) < y(Organ::BrainStem));
    }
}

#[test]
fn region_boundaries_agree_with_the_masks_within_a_slice() {
    for (phantom, ct, labels) in bodies() {
        let found = measure(ct, labels);
        let height = |k: usize| labels.geometry.to_patient([0.0, 0.0, k as f64])[2];
        let top = |organ: Organ| height(found[organ.index()].high);
        let middle = |organ: Organ| (height(found[organ.index()].low) + top(organ)) / 2.0;
        let drawn = [
            top(Organ::LungLeft).max(top(Organ::LungRight)),
            top(Organ::Heart),
            top(Organ::Liver),
            (middle(Organ::KidneyLeft) + middle(Organ::KidneyRight)) / 2.0,
        ];
        for (n, (told, drawn)) in phantom.region_boundaries_mm().into_iter().zip(drawn).enumerate() {
            let name = Landmark::ALL[n].name();
            let slice = phantom.options.slice_mm;
            // A tip just above a slice is too thin for a pixel to hit.
            assert!(
                (told - drawn).abs() <= slice + 0.5,
                "seed {}, {name}: {told:.1}, drawn {drawn:.1}",
                phantom.options.seed
            );
        }
    }
}

#[test]
fn no_organ_lies_in_a_region_where_it_cannot_occur() {
    for (phantom, _, labels) in bodies() {
        let regions = phantom.regions().unwrap();
        for k in 0..phantom.slices() {
            let shown: BTreeSet<u8> = labels.slice(k).iter().copied().filter(|&l| l > 0).collect();
            for organ in shown.into_iter().map(|l| Organ::from_label(l).unwrap()) {
                assert!(regions.can_occur(k, organ), "seed {}, slice {k}: {organ}", phantom.options.seed);
            }
        }
    }
}

#[test]
fn a_slice_is_the_same_whenever_it_is_asked_for() {
    let options = PhantomOptions { matrix: 64, pixel_mm: 7.0, slice_mm: 5.0, ..whole(3) };
    let one = Phantom::new(options.clone()).unwrap();
    let other = Phantom::new(options.clone()).unwrap();
    let order = [40, 3, 90, 41];
    let forwards = order.map(|k| one.slice(k));
    let mut backwards = order;
    backwards.reverse();
    let mut again = backwards.map(|k| other.slice(k));
    again.reverse();
    assert_eq!(forwards, again);
    let stranger = Phantom::new(PhantomOptions { seed: 4, ..options }).unwrap();
    assert_ne!(stranger.slice(40), one.slice(40));
    assert_ne!(stranger.region_boundaries_mm(), one.region_boundaries_mm());
}

#[test]
fn options_of_the_scan_do_not_change_the_patient() {
    let fine = Phantom::new(PhantomOptions { pixel_mm: 1.5, matrix: 300, ..whole(5) }).unwrap();
    for set in ScanSet::PARTIAL {
        let coarse = Phantom::new(PhantomOptions { set, slice_mm: 6.0, noise_hu: 0.0, ..whole(5) }).unwrap();
        assert_eq!(coarse.region_boundaries_mm(), fine.region_boundaries_mm());
        assert_eq!(coarse.contrast(), fine.contrast());
    }
}

#[test]
fn the_sets_together_annotate_every_organ_that_they_show() {
    let all = ScanSet::PARTIAL.into_iter().fold(OrganSet::EMPTY, |sum, set| sum.union(set.annotated()));
    assert_eq!(all, OrganSet::ALL);
    for set in ScanSet::PARTIAL {
        let options = PhantomOptions { set, matrix: 132, pixel_mm: 4.0, slice_mm: 3.0, ..whole(11) };
        let phantom = Phantom::new(options).unwrap();
        let (_, truth) = phantom.volume().unwrap();
        let drawn = partial(&truth.voxels, set.annotated());
        assert_eq!(shown(&drawn), set.annotated(), "{}", set.id());
        // What makes a set partial: it shows more than it annotates.
        assert!(shown(&truth.voxels).difference(set.annotated()).len() >= 2, "{}", set.id());
        assert!(drawn.iter().zip(&truth.voxels).all(|(d, t)| d == t || *d == 0));
    }
}

#[test]
fn left_is_left_after_a_file() {
    let (_, ct, labels) = &bodies()[0];
    let read = |bytes: &[u8]| nifti::read_labels(bytes, &ReadOptions::default()).unwrap();
    let back = read(&nifti::write_labels(labels, "phantom").unwrap());
    assert!(back.geometry.same_grid(&labels.geometry, 0.01));
    assert_eq!(back.voxels, labels.voxels);
    let found = measure(ct, &back);
    assert!(found[Organ::EyeLeft.index()].centre[0] > 10.0 && found[Organ::EyeRight.index()].centre[0] < -10.0);
    let ct_back = nifti::read_ct(&nifti::write_ct(ct, "phantom").unwrap(), &ReadOptions::default()).unwrap();
    assert_eq!(ct_back.voxels, ct.voxels);
}

#[test]
fn the_preprocessing_finds_the_body_and_not_the_couch() {
    for (phantom, ct, labels) in bodies() {
        crate::volume::check_is_ct(ct).unwrap();
        let body = Body::find(ct);
        let [nx, ny, nz] = ct.geometry.size;
        let [_, first, _] = ct.geometry.to_patient([0.0; 3]);
        let couch = ((f64::from(phantom.patient.couch_y()) + 25.0 - first) / phantom.options.pixel_mm) as usize;
        let (mut organ, mut inside) = (0, 0);
        for k in 0..nz {
            for j in 0..ny {
                for i in 0..nx {
                    if labels.slice(k)[j * nx + i] > 0 {
                        organ += 1;
                        inside += usize::from(body.contains(i, j, k));
                    }
                }
            }
            assert!(!body.contains(nx / 2, couch, k), "seed {}, slice {k}: the couch", phantom.options.seed);
        }
        assert!(inside as f64 > 0.998 * f64::from(organ), "seed {}: {inside} of {organ}", phantom.options.seed);
    }
}

#[test]
fn a_wrong_option_is_named() {
    let error = Phantom::new(PhantomOptions { pixel_mm: f64::NAN, ..whole(0) }).unwrap_err();
    assert!(error.to_string().contains("pixel distance"), "{error}");
    assert!(Phantom::new(PhantomOptions { matrix: 0, ..whole(0) }).is_err());
}

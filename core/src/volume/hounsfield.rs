//! Are these values HU? The one check, for every format, of whoever segments, measures or trains.
//!
//! A CT whose rescale intercept was forgotten (0 to 4095), a windowed picture of one (0 to 255) or a constant are read
//! without complaint and outlined with Dice 0. No header tells: NIfTI and NRRD have no modality, and in DICOM it is the
//! rescaling itself that is wrong. What air, fat, muscle and bone look like on every CT does tell.
//!
//! Shares are those of the voxels from -700 HU up, which are the body and its couch, and not of the volume: some scans
//! are cut down to one hundredth of it by a constant. Measured on 312 scans of six public sets (OpenKBP and its
//! contours by others, BTCV in 8 bits within [-125, 275] with fills of -1000, -950 and -850, LIDC, TCGA, a planning CT)
//! and on a 3 mm trunk; the bound is what is asked for:
//!
//! | what | bound | scans | spoilt |
//! |---|---|---|---|
//! | air and padding (below -700) of all voxels | 0.1 % | 34 to 99.6 % | 0: intercept forgotten, any window from 0 up, halved |
//! | body (from -700) of all voxels | 0.1 % | 0.36 to 66 % | 0: windowed, then -1024 |
//! | middle of the fullest 40 HU from -500 up | -150 to 150 | -127 to 67 | -480 and up: intercept added twice |
//! | fat and muscle (-150 to 150) of the body | 30 % | 65 to 91 % | |
//! | fat (-150 to -30) of the body | 1 % | 4.7 to 52 % | 0: intercept forgotten or windowed, with padding of -1000 or -2000 |
//! | above 150 of the body | 0.2 % | 2.1 to 20 % | 0: a window that ends at muscle, with padding |
//! | above 300 of the body | 50 % | 0 to 16 % | |
//!
//! Each of the 313 scans passes. Spoilt in 23 ways (intercept forgotten or added twice, five windows of 8 bits, most of them with
//! and without padding, cut to a window, scaled to 1 or 1000, halved, divided by 10 or 500, negated, constant) none does. Not told
//! are doubled values and a window that was stretched to [-1000, 1000].

use super::neighbours::{BODY_HU, Jump, empty, jump};
use super::{CtVolume, Modality};
use crate::parallel::map;

/// Between these lie fat and muscle.
const TISSUE_HU: [i16; 2] = [-150, 150];
/// From the lower bound of [`TISSUE_HU`] to here lies fat.
const FAT_HU: i16 = -30;
/// Above this is bone alone, but for contrast and metal.
const BONE_HU: i16 = 300;
/// Where the fullest range is looked for: below are lungs, of which a scan may hold more than of anything else.
const PEAK_FROM_HU: i16 = -500;
/// Nothing that is outlined fits into a field of view of less, mm; what was meant in metres has less than 1.
const SMALLEST_FIELD_MM: f64 = 20.0;
/// Width of that range: noise and the kinds of soft tissue fit into it.
const PEAK_WIDTH: usize = 40;

/// Why a volume is not segmented although it could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCt {
    /// The file names another modality.
    #[error("this is {0}, not CT; only CT in HU can be segmented")]
    Modality(String),
    /// The voxels cannot be HU.
    #[error(transparent)]
    Values(#[from] NotHu),
    /// Fewer slices than a series has.
    #[error("the volume has {0} slices; at least 3 are needed")]
    TooFew(usize),
    /// A field of view, along i and j in mm, in which nobody fits.
    #[error(
        "the field of view of {0} mm is smaller than any organ, as if the lengths in its header were not in mm; export the scan again with \
         its spacing in mm"
    )]
    TooSmall(String),
}

/// Values that no CT in HU has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the voxels do not look like CT in HU: {finding}; {cure}")]
pub struct NotHu {
    finding: String,
    cure: &'static str,
}

impl NotHu {
    /// What a reader of the results has to know where they are taken as HU all the same.
    pub fn taken_anyway(&self) -> String {
        format!("the voxels are taken as HU because that was asked for, although {}", self.finding)
    }
}

const RESCALE: &str = "export the scan again with its RescaleSlope and RescaleIntercept, or convert it to HU";
const ORIGINAL: &str = "use the scan itself, in HU, not a picture or a normalised copy of it";

/// Refuses what is not a CT in HU: another modality, less than three slices, or values that no CT has.
///
/// Who knows better insists with `assume_hu`: odd values are then a warning of the volume and no error. So are slices without anything
/// between slices of the body.
///
/// # Errors
/// [`NotCt`].
pub fn require_ct(volume: &mut CtVolume, assume_hu: bool) -> Result<(), NotCt> {
    volume.warnings.extend(empty_slices(volume));
    match check_is_ct(volume) {
        Err(NotCt::Values(odd)) if assume_hu => {
            volume.warnings.push(odd.taken_anyway());
            Ok(())
        }
        checked => checked,
    }
}

/// Refuses what is not a CT in HU: another modality, less than three slices, or values that no CT has.
///
/// # Errors
/// [`NotCt`].
pub fn check_is_ct(volume: &CtVolume) -> Result<(), NotCt> {
    if let Modality::Other(modality) = &volume.modality {
        return Err(NotCt::Modality(modality.clone()));
    }
    if volume.geometry.size[2] < 3 {
        return Err(NotCt::TooFew(volume.geometry.size[2]));
    }
    let (size, spacing) = (volume.geometry.size, volume.geometry.spacing());
    let field = [0, 1].map(|axis| size[axis] as f64 * spacing[axis]);
    if field.iter().all(|&mm| mm < SMALLEST_FIELD_MM) {
        return Err(NotCt::TooSmall(format!("{:.2} x {:.2}", field[0], field[1])));
    }
    Ok(check_values(volume)?)
}

/// Refuses values that no CT in HU has: of all voxels, as this module says, or of a slice that lies apart from its neighbours.
///
/// # Errors
/// [`NotHu`].
pub fn check_values(volume: &CtVolume) -> Result<(), NotHu> {
    check_hu(&volume.voxels)?;
    let Some(Jump { at_mm: [lower, upper], hu }) = jump(volume) else { return Ok(()) };
    let way = if hu > 0 { "rise" } else { "fall" };
    let finding = format!(
        "from the slice at z = {lower:.2} mm to the next one at z = {upper:.2} mm they {way} by {} HU throughout, as if some slices had \
         lost their rescale intercept or slope",
        hu.abs()
    );
    Err(NotHu { finding, cure: RESCALE })
}

/// That slices between others show nothing, in a sentence with their places; none where there are none.
pub fn empty_slices(volume: &CtVolume) -> Option<String> {
    let places: Vec<String> = empty(volume).iter().map(|z| format!("{z:.2}")).collect();
    (!places.is_empty()).then(|| {
        format!(
            "slices hold nothing although both their neighbours show the body, at z = {} mm; what is outlined there and beside it is not to \
             be trusted",
            places.join(", ")
        )
    })
}

/// Refuses values that all voxels together cannot have; the module says which these are.
fn check_hu(voxels: &[i16]) -> Result<(), NotHu> {
    let histogram = Histogram::of(voxels);
    let odd = |finding: String, cure| Err(NotHu { finding, cure });
    let (low, high) = histogram.range();
    if low == high {
        return odd(format!("every voxel holds {low}"), "export the scan again with its pixels");
    }
    let (all, body) = (voxels.len() as f64, histogram.count(BODY_HU, i16::MAX));
    let air = all - body;
    if body < 0.001 * all {
        return odd(format!("they run from {low} to {high}, and next to none is tissue"), RESCALE);
    }
    let share = |from: i16, to: i16| histogram.count(from, to) / body;
    let fat = share(TISSUE_HU[0], FAT_HU);
    let peak = histogram.peak();
    if (low >= 0 && high <= 255) || (low >= -128 && high <= 127) {
        return odd(format!("they run from {low} to {high}, as the grey values of a picture in 8 bits do"), ORIGINAL);
    }
    // Air where it is, or fat, is missing, and the body lies a thousand too high.
    if (air < 0.001 * all || fat < 0.01)
        && let Some(body) = histogram.raised_peak()
    {
        let finding = format!(
            "soft tissue seems to lie at about {body} and no fat at -100, as if the rescale intercept (-1024, mostly) was never added"
        );
        return odd(finding, RESCALE);
    }
    if air < 0.001 * all {
        return odd(format!("they run from {low} to {high}, and next to none is air (about -1000)"), ORIGINAL);
    }
    if !(f64::from(TISSUE_HU[0])..=f64::from(TISSUE_HU[1])).contains(&peak) {
        return odd(format!("most of the body lies at about {peak:.0}, and soft tissue has -150 to 150 HU"), RESCALE);
    }
    let tissue = share(TISSUE_HU[0], TISSUE_HU[1]);
    if tissue < 0.3 {
        return odd(format!("only {:.0} % of the body are soft tissue (-150 to 150 HU)", 100.0 * tissue), RESCALE);
    }
    if fat < 0.01 {
        return odd("nothing in the body is fat (-150 to -30 HU)".into(), ORIGINAL);
    }
    if share(TISSUE_HU[1], i16::MAX) < 0.002 {
        return odd(format!("they end at {high}, and nothing is bone"), ORIGINAL);
    }
    let bone = share(BONE_HU, i16::MAX);
    if bone > 0.5 {
        return odd(format!("{:.0} % of the body are as dense as bone", 100.0 * bone), RESCALE);
    }
    Ok(())
}

/// How often each value occurs.
struct Histogram(Vec<u32>);

/// Voxels that are counted by one thread at a time.
const COUNTED: usize = 1 << 22;

impl Histogram {
    fn of(voxels: &[i16]) -> Self {
        let parts = map(voxels.chunks(COUNTED).collect(), |part: &[i16]| {
            // Two, because most neighbours have the same value: the second need not wait for the first.
            let mut counts = vec![[0u32; 1 << 16]; 2];
            let (pairs, last) = part.as_chunks::<2>();
            let [even, odd] = counts.as_mut_slice() else { return Vec::new() };
            for &[a, b] in pairs {
                let (a, b) = (&mut even[bin(a)], &mut odd[bin(b)]);
                // Fewer than there are numbers: without a check.
                (*a, *b) = (a.wrapping_add(1), b.wrapping_add(1));
            }
            last.iter().for_each(|&v| even[bin(v)] += 1);
            even.iter().zip(odd).map(|(even, odd)| *even + *odd).collect::<Vec<u32>>()
        });
        let mut counts = vec![0u32; 1 << 16];
        for part in parts {
            counts.iter_mut().zip(part).for_each(|(all, part)| *all += part);
        }
        Self(counts)
    }

    /// The lowest and the highest value.
    fn range(&self) -> (i16, i16) {
        let value = |at: Option<usize>| at.map_or(0, |n| (n as i32 - 0x8000) as i16);
        let used = |c: &u32| *c > 0;
        (value(self.0.iter().position(used)), value(self.0.iter().rposition(used)))
    }

    /// Voxels from `from` to `to`, both included.
    fn count(&self, from: i16, to: i16) -> f64 {
        self.0[bin(from)..=bin(to)].iter().map(|&c| f64::from(c)).sum()
    }

    /// The middle of the fullest [`PEAK_WIDTH`] values from [`PEAK_FROM_HU`] up.
    fn peak(&self) -> f64 {
        self.fullest(PEAK_FROM_HU).0
    }

    /// Where soft tissue lies without its intercept, if that is what a tenth of what lies above 300 forms a peak for.
    fn raised_peak(&self) -> Option<i16> {
        let (peak, count) = self.fullest(BONE_HU);
        let dense = self.count(BONE_HU, i16::MAX);
        ((700.0..=1400.0).contains(&peak) && count >= 0.1 * dense).then_some(peak as i16)
    }

    /// The middle of the fullest [`PEAK_WIDTH`] values from `from` up, and how many voxels they have.
    fn fullest(&self, from: i16) -> (f64, f64) {
        let counts = &self.0[bin(from)..];
        let mut sum: u64 = counts.iter().take(PEAK_WIDTH).map(|&c| u64::from(c)).sum();
        let mut best = (0, sum);
        for (n, pair) in counts.iter().zip(counts.iter().skip(PEAK_WIDTH)).enumerate() {
            sum = sum + u64::from(*pair.1) - u64::from(*pair.0);
            if sum > best.1 {
                best = (n + 1, sum);
            }
        }
        (f64::from(from) + best.0 as f64 + PEAK_WIDTH as f64 / 2.0, best.1 as f64)
    }
}

fn bin(value: i16) -> usize {
    usize::from(value.cast_unsigned() ^ 0x8000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::{Phantom, PhantomOptions, ScanSet};
    use crate::volume::Geometry;

    /// The scans of the phantom, coarse.
    fn scans() -> Vec<(ScanSet, CtVolume)> {
        let scan = |set| {
            let options =
                PhantomOptions { set, seed: 3, matrix: 88, pixel_mm: 6.0, slice_mm: 9.0, ..Default::default() };
            (set, Phantom::new(options).unwrap().volume().unwrap().0)
        };
        [ScanSet::WholeBody].into_iter().chain(ScanSet::PARTIAL).map(scan).collect()
    }

    fn window(low: f64, high: f64, to: [f64; 2]) -> impl Fn(f64) -> f64 {
        move |v| to[0] + (v.clamp(low, high) - low) / (high - low) * (to[1] - to[0])
    }

    /// How values are spoilt, whether the corners of the image are then padded with a constant, and what is said.
    type Row = (&'static str, Box<dyn Fn(f64) -> f64>, Option<i16>, &'static str);

    #[test]
    fn scans_pass_and_spoilt_ones_do_not() {
        let grey = [0.0, 255.0];
        let forgotten = |v: f64| v.max(-1024.0) + 1024.0;
        let rows: Vec<Row> = vec![
            ("intercept forgotten", Box::new(forgotten), None, "the rescale intercept (-1024, mostly) was never added"),
            ("and padded with -2000", Box::new(forgotten), Some(-2000), "the rescale intercept"),
            ("and padded with air", Box::new(forgotten), Some(-1000), "the rescale intercept"),
            ("intercept added twice", Box::new(|v| v - 1024.0), None, "do not look like CT in HU"),
            (
                "a window of the abdomen",
                Box::new(window(-160.0, 240.0, grey)),
                None,
                "from 0 to 255, as the grey values",
            ),
            ("and padded", Box::new(window(-160.0, 240.0, grey)), Some(-1000), "nothing in the body is fat"),
            ("a window of the lungs", Box::new(window(-1350.0, 150.0, grey)), None, "as the grey values"),
            ("everything in a window", Box::new(window(-1024.0, 3071.0, grey)), None, "as the grey values"),
            ("a window in signed bytes", Box::new(window(-160.0, 240.0, [-128.0, 127.0])), None, "as the grey values"),
            (
                "a window, then an intercept",
                Box::new(move |v| window(-160.0, 240.0, grey)(v) - 1024.0),
                None,
                "next to none is tissue",
            ),
            ("cut to the window", Box::new(|v| v.clamp(-160.0, 240.0)), None, "next to none is air"),
            ("normalised", Box::new(window(-1000.0, 1000.0, [0.0, 1.0])), None, "from 0 to 1,"),
            (
                "normalised to a thousand",
                Box::new(window(-1000.0, 1000.0, [0.0, 1000.0])),
                None,
                "do not look like CT in HU",
            ),
            ("halved", Box::new(|v| v / 2.0), None, "next to none is air"),
            ("negated", Box::new(|v| -v), None, "do not look like CT in HU"),
            ("a slope of zero", Box::new(|_| -1024.0), None, "every voxel holds -1024"),
        ];
        for (set, mut ct) in scans() {
            assert_eq!(check_is_ct(&ct), Ok(()), "{}", set.id());
            let warned = ct.warnings.len();
            assert_eq!(require_ct(&mut ct, true), Ok(()));
            assert_eq!(ct.warnings.len(), warned, "{:?}", ct.warnings);
            let corner = |n: usize| n % 88 + n / 88 % 88 < 40;
            for (name, spoil, padding, said) in &rows {
                let voxel = |(n, &v): (usize, &i16)| match padding {
                    Some(padding) if corner(n) => *padding,
                    _ => spoil(f64::from(v)).round() as i16,
                };
                let mut spoilt = ct.with_voxels(ct.voxels.iter().enumerate().map(voxel).collect());
                let Err(NotCt::Values(odd)) = require_ct(&mut spoilt, false) else { panic!("{}: {name}", set.id()) };
                assert!(odd.to_string().contains(said), "{}, {name}: {odd}", set.id());
                assert_eq!(require_ct(&mut spoilt, true), Ok(()), "who insists is believed");
                assert!(spoilt.warnings[0].starts_with("the voxels are taken as HU"), "{:?}", spoilt.warnings);
            }
        }
    }

    #[test]
    fn a_slice_that_lies_apart_from_its_neighbours_is_refused_with_its_place() {
        for (set, ct) in scans() {
            let slices = ct.geometry.size[2];
            let pixels = ct.slice(0).len();
            let shown = |k: &usize| ct.slice(*k).iter().filter(|&&v| v > BODY_HU).count();
            let k = (1..slices - 1).max_by_key(shown).unwrap();
            let spoilt = |rule: &dyn Fn(f64) -> f64, which: std::ops::Range<usize>| {
                let voxel = |(n, &v): (usize, &i16)| {
                    if which.contains(&(n / pixels)) { rule(f64::from(v)).round() as i16 } else { v }
                };
                check_is_ct(&ct.with_voxels(ct.voxels.iter().enumerate().map(voxel).collect()))
            };
            let place = format!("next one at z = {:.2} mm", ct.geometry.to_patient([0.0, 0.0, k as f64])[2]);
            let rows: [(&dyn Fn(f64) -> f64, &str); 4] = [
                (&|v| v + 1024.0, "rise by 10"),
                (&|v| v - 1024.0, "fall by 10"),
                (&|v| 2.0 * (v + 1024.0) - 1024.0, "rise by"),
                (&|v| (v + 1024.0) / 2.0 - 1024.0, "fall by"),
            ];
            for (rule, said) in rows {
                let Err(NotCt::Values(odd)) = spoilt(rule, k..k + 1) else { panic!("{}: {said}", set.id()) };
                assert!(odd.to_string().contains(said) && odd.to_string().contains(&place), "{}: {odd}", set.id());
                assert!(spoilt(rule, k..slices).is_err(), "{}: the rest of the scan, {said}", set.id());
            }
            for (rule, said) in &rows[..2] {
                let Err(NotCt::Values(odd)) = spoilt(rule, slices - 1..slices) else { panic!("{}: {said}", set.id()) };
                assert!(odd.to_string().contains(said), "{}: {odd}", set.id());
            }
            assert_eq!(spoilt(&|v| v + 60.0, k..k + 1), Ok(()), "{}: contrast that comes in", set.id());
        }
    }

    #[test]
    fn padding_beside_slices_that_are_full_of_body_is_no_jump() {
        let (_, whole) = scans().remove(0);
        let [columns, rows, slices] = whole.geometry.size;
        let (inner, spacing) = (32, whole.geometry.spacing());
        let mut voxels = Vec::new();
        for k in 0..slices {
            let row = |j: usize| whole.slice(k)[j * columns + (columns - inner) / 2..][..inner].to_vec();
            voxels.extend((rows / 2 - inner / 2..rows / 2 + inner / 2).flat_map(row));
        }
        let area = inner * inner;
        let full = |k: usize| voxels[k * area..][..area].iter().filter(|&&v| v > BODY_HU).count() * 10 > area * 9;
        let k = (1..slices - 2).find(|&k| full(k + 1)).unwrap();
        voxels[..=k * area + area - 1].fill(-1024);
        let grid = Geometry::axial([inner, inner, slices], spacing, [0.0; 3]).unwrap();
        let ct = CtVolume::from_stored(grid, voxels, whole.modality).unwrap();
        assert_eq!(check_is_ct(&ct), Ok(()));
    }

    #[test]
    fn slices_without_anything_between_others_are_said() {
        let (_, mut ct) = scans().remove(0);
        assert_eq!(empty_slices(&ct), None);
        let pixels = ct.slice(0).len();
        for k in [7, 11] {
            ct.voxels[k * pixels..][..pixels].fill(-1024);
        }
        assert_eq!(require_ct(&mut ct, false), Ok(()));
        let [a, b] = [7.0, 11.0].map(|k| ct.geometry.to_patient([0.0, 0.0, k])[2]);
        let said = ct.warnings.last().map(String::as_str).unwrap_or_default();
        assert!(said.contains(&format!("at z = {a:.2}, {b:.2} mm")), "{said}");
    }

    #[test]
    fn a_body_in_one_hundredth_of_the_volume_counts() {
        let (_, ct) = scans().remove(0);
        let mut voxels = vec![-1000i16; 100 * ct.voxels.len()];
        voxels[..ct.voxels.len()].copy_from_slice(&ct.voxels);
        assert_eq!(check_hu(&voxels), Ok(()));
    }

    #[test]
    fn another_modality_and_two_slices_are_refused_whatever_is_assumed() {
        let (_, mut ct) = scans().remove(0);
        ct.modality = Modality::Other("MR".into());
        assert_eq!(require_ct(&mut ct, true), Err(NotCt::Modality("MR".into())));
        ct.modality = Modality::Ct;
        ct.geometry.size[2] = 2;
        assert_eq!(require_ct(&mut ct, true), Err(NotCt::TooFew(2)));
    }

    #[test]
    fn a_field_of_view_in_metres_is_refused_with_its_size() {
        let (_, mut ct) = scans().remove(0);
        ct.geometry = Geometry::axial(ct.geometry.size, [0.006, 0.006, 0.009], [0.0; 3]).unwrap();
        let error = require_ct(&mut ct, true).unwrap_err();
        assert!(error.to_string().starts_with("the field of view of 0.53 x 0.53 mm is smaller"), "{error}");
    }
}

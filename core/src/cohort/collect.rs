//! All organs of all scans in one table, and which scans lie apart from the others.
//!
//! Of a scan only its `statistics.csv`, the doubtful shares in its record and what its status line says is needed. A scan lies apart in an
//! organ where its volume, its mean HU or its length is far outside of what the cohort has: more than [`FAR`] robust standard deviations
//! (1.4826 times the median absolute deviation) from the median, among scans that show the whole organ; or where the network was in
//! doubt about that much more of it than usual. Volumes and doubts are compared as logarithms, as they are distributed. That is a reason to
//! look, not a verdict.

use std::collections::BTreeMap;

use super::status::{Outcome, StatusLine};
use crate::anatomy::Organ;
use crate::csv::{number, push_record};

/// Robust standard deviations beyond which a scan lies apart.
pub const FAR: f64 = 3.5;
/// Fewer scans than this have no distribution.
const FEWEST: usize = 8;
/// 1 over the 0.75 quantile of the normal distribution: the median absolute deviation times this is a standard deviation.
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

/// What is known of an organ of a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct OrganRow {
    /// Which organ.
    pub organ: Organ,
    /// Volume in ml; 0 where it was not found.
    pub ml: f64,
    /// Mean HU, where it was found.
    pub mean_hu: Option<f64>,
    /// From its lowest to its highest slice, patient S in mm.
    pub extent_mm: Option<[f64; 2]>,
    /// Its middle slice, canonical.
    pub slice: Option<usize>,
    /// `no`, `inferior`, `superior` or `both`: whether the scan ends within it. Empty where it was not found.
    pub cut: String,
    /// Share of its voxels in which the network only just chose it ([`Doubt`](crate::infer::Doubt)), 0 to 1; where that is known.
    pub doubtful: Option<f64>,
}

/// A scan and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRows {
    /// Name in the list.
    pub scan: String,
    /// Its organs, as far as there is a result.
    pub organs: Vec<OrganRow>,
    /// The warnings of its record.
    pub warnings: Vec<String>,
}

/// Why a table of a scan cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statistics.csv is not a table of this program: {0}")]
pub struct TableError(String);

/// The organs of a `statistics.csv`, which says nothing of doubts. Tables of earlier programs count slices from 0 and have no other count.
///
/// # Errors
/// [`TableError`] where a column is missing or a row is not understood.
pub fn read_statistics(text: &str) -> Result<Vec<OrganRow>, TableError> {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    let column = |name: &str| {
        head.iter().position(|column| *column == name).ok_or_else(|| TableError(format!("there is no column `{name}`")))
    };
    let [first, last] = if head.contains(&"first_k") { ["first_k", "last_k"] } else { ["first_slice", "last_slice"] };
    let [organ, ml, hu, first, last, bottom, top, cut] = [
        column("organ")?,
        column("volume_ml")?,
        column("mean_hu")?,
        column(first)?,
        column(last)?,
        column("first_slice_z_mm")?,
        column("last_slice_z_mm")?,
        column("cut_by_scan_end")?,
    ];
    let mut rows = Vec::new();
    for fields in lines {
        // No field of these columns is ever quoted: ids and numbers. A name with a comma would move those behind it.
        let text = |at: usize| fields.get(at).copied().unwrap_or_default();
        let number = |at: usize| text(at).parse::<f64>().ok();
        let known = Organ::from_id(text(organ)).filter(|_| fields.len() == head.len());
        let (Some(organ), Some(ml)) = (known, number(ml)) else {
            return Err(TableError(format!("a row begins with `{}`", text(organ))));
        };
        let slices = number(first).zip(number(last));
        rows.push(OrganRow {
            organ,
            ml,
            mean_hu: number(hu),
            extent_mm: number(bottom).zip(number(top)).map(|(bottom, top)| [bottom, top]),
            slice: slices.map(|(first, last)| ((first + last) / 2.0) as usize),
            cut: text(cut).into(),
            doubtful: None,
        });
    }
    Ok(rows)
}

/// The distribution of one quantity of one organ over the cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Of scans that show the whole organ, sorted.
    pub values: Vec<f64>,
    /// Median.
    pub median: f64,
    /// Robust standard deviation; in logarithms where those are compared.
    pub sigma: f64,
    logarithms: bool,
}

impl Distribution {
    /// Of these values; `None` for too few of them to say what is usual.
    fn of(values: impl IntoIterator<Item = f64>, logarithms: bool) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite() && (!logarithms || *v > 0.0)).collect();
        values.sort_by(f64::total_cmp);
        if values.len() < FEWEST {
            return None;
        }
        let scale = |v: &f64| if logarithms { v.ln() } else { *v };
        let scaled: Vec<f64> = values.iter().map(scale).collect();
        let middle = median(&scaled);
        let mut off: Vec<f64> = scaled.iter().map(|v| (v - middle).abs()).collect();
        off.sort_by(f64::total_cmp);
        Some(Self { median: median(&values), sigma: median(&off) * MAD_TO_SIGMA, logarithms, values })
    }

    /// How many robust standard deviations a value lies from the median; 0 where the cohort has no spread.
    pub fn score(&self, value: f64) -> f64 {
        if self.sigma <= 0.0 || (self.logarithms && value <= 0.0) {
            return 0.0;
        }
        let [value, median] = [value, self.median].map(|v| if self.logarithms { v.ln() } else { v });
        (value - median) / self.sigma
    }

    /// The value below which this share of the cohort lies, 0 to 1.
    pub fn quantile(&self, share: f64) -> f64 {
        let at = share.clamp(0.0, 1.0) * (self.values.len() - 1) as f64;
        let (low, high) = (self.values[at.floor() as usize], self.values[at.ceil() as usize]);
        low + (high - low) * at.fract()
    }
}

/// The middle of sorted values.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// Why a scan should be looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Oddity {
    /// In which organ.
    pub organ: Organ,
    /// One sentence with the value and what is usual.
    pub what: String,
    /// Robust standard deviations from the median; infinite for what is wrong by itself.
    pub score: f64,
    /// The slice to look at, canonical.
    pub slice: Option<usize>,
}

/// A cohort.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The scans that have results, by name.
    pub scans: Vec<ScanRows>,
    /// What became of the others, and how long each took.
    pub status: BTreeMap<String, StatusLine>,
    /// Volume in ml of each organ.
    pub ml: Vec<Option<Distribution>>,
    /// Mean HU of each organ.
    pub hu: Vec<Option<Distribution>>,
    /// Length along the patient in mm of each organ.
    pub length: Vec<Option<Distribution>>,
    /// Doubtful share of each organ.
    pub doubtful: Vec<Option<Distribution>>,
    /// What is odd in each of `scans`, the oddest first.
    pub odd: Vec<Vec<Oddity>>,
}

impl Collected {
    /// Puts scans together.
    pub fn new(mut scans: Vec<ScanRows>, status: BTreeMap<String, StatusLine>) -> Self {
        scans.sort_by(|a, b| a.scan.cmp(&b.scan));
        let over = |value: fn(&OrganRow) -> Option<f64>, logarithms: bool| -> Vec<Option<Distribution>> {
            let of = |organ: Organ| {
                let whole =
                    scans.iter().flat_map(|scan| &scan.organs).filter(|row| row.organ == organ && row.cut == "no");
                Distribution::of(whole.filter_map(value), logarithms)
            };
            Organ::ALL.into_iter().map(of).collect()
        };
        let ml = over(|row| (row.ml > 0.0).then_some(row.ml), true);
        let hu = over(|row| row.mean_hu, false);
        let length = over(OrganRow::length, false);
        let doubtful = over(|row| row.doubtful, true);
        let odd = scans.iter().map(|scan| oddities(scan, [&ml, &hu, &length, &doubtful])).collect();
        Self { scans, status, ml, hu, length, doubtful, odd }
    }

    /// Places in `scans`, the one that lies furthest apart first.
    pub fn by_oddity(&self) -> Vec<usize> {
        let worst = |n: &usize| self.odd[*n].first().map_or(0.0, |odd| odd.score.abs());
        let mut order: Vec<usize> = (0..self.scans.len()).collect();
        order.sort_by(|a, b| worst(b).total_cmp(&worst(a)).then(a.cmp(b)));
        order
    }

    /// Scans that failed, and why.
    pub fn failures(&self) -> impl Iterator<Item = &StatusLine> {
        self.status.values().filter(|line| line.outcome == Outcome::Failed)
    }

    /// One row for each organ of each scan.
    pub fn csv(&self) -> String {
        let mut out = String::new();
        push_record(
            &mut out,
            [
                "scan",
                "organ",
                "volume_ml",
                "volume_score",
                "mean_hu",
                "mean_hu_score",
                "inferior_mm",
                "superior_mm",
                "length_score",
                "cut_by_scan_end",
                "doubtful_share",
                "doubtful_score",
            ],
        );
        for (scan, row) in self.scans.iter().flat_map(|scan| scan.organs.iter().map(move |row| (scan, row))) {
            let c = row.organ.index();
            let whole = row.cut == "no";
            let score = |of: &[Option<Distribution>], value: Option<f64>| {
                let score = of[c].as_ref().zip(value).filter(|_| whole).map(|(d, value)| d.score(value));
                score.map_or(String::new(), |score| number(score, 2))
            };
            let optional = |value: Option<f64>, digits| value.map_or(String::new(), |value| number(value, digits));
            push_record(
                &mut out,
                [
                    scan.scan.clone(),
                    row.organ.id().into(),
                    number(row.ml, 3),
                    score(&self.ml, Some(row.ml)),
                    optional(row.mean_hu, 1),
                    score(&self.hu, row.mean_hu),
                    optional(row.extent_mm.map(|e| e[0]), 2),
                    optional(row.extent_mm.map(|e| e[1]), 2),
                    score(&self.length, row.length()),
                    row.cut.clone(),
                    optional(row.doubtful, 4),
                    score(&self.doubtful, row.doubtful),
                ],
            );
        }
        out
    }

    /// One row for each scan that failed.
    pub fn failures_csv(&self) -> String {
        let mut out = String::new();
        push_record(&mut out, ["scan", "reason", "at"]);
        for line in self.failures() {
            push_record(&mut out, [&line.scan, line.reason.as_deref().unwrap_or_default(), &line.at]);
        }
        out
    }
}

impl OrganRow {
    /// From the lowest to the highest slice, mm.
    fn length(&self) -> Option<f64> {
        self.extent_mm.map(|[bottom, top]| top - bottom)
    }
}

/// What of a scan lies apart, the oddest first.
fn oddities(scan: &ScanRows, [ml, hu, length, doubtful]: [&[Option<Distribution>]; 4]) -> Vec<Oddity> {
    let mut found = Vec::new();
    for row in &scan.organs {
        let (organ, c) = (row.organ, row.organ.index());
        if row.ml == 0.0 || row.cut != "no" {
            continue;
        }
        let rows = [
            ("", ml, Some(row.ml), "ml", 1),
            ("a mean of ", hu, row.mean_hu, "HU", 0),
            ("a length of ", length, row.length(), "mm along the patient", 0),
        ];
        for (before, of, value, unit, digits) in rows {
            let Some((distribution, value)) = of[c].as_ref().zip(value) else { continue };
            let score = distribution.score(value);
            if score.abs() >= FAR {
                let [value, median] = [value, distribution.median].map(|v| number(v, digits));
                let what = format!("{before}{value} {unit}, where the median is {median}");
                found.push(Oddity { organ, what, score, slice: row.slice });
            }
        }
        // To be surer than usual is nothing to look at.
        if let Some((distribution, share)) = doubtful[c].as_ref().zip(row.doubtful)
            && distribution.score(share) >= FAR
        {
            let [value, median] = [share, distribution.median].map(|v| number(100.0 * v, 0));
            let what = format!("doubtful in {value} % of its voxels, where the median is {median} %");
            found.push(Oddity { organ, what, score: distribution.score(share), slice: row.slice });
        }
    }
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organ(id: &str) -> Organ {
        Organ::from_id(id).unwrap()
    }

    fn row(id: &str, ml: f64, hu: f64, cut: &str) -> OrganRow {
        OrganRow {
            organ: organ(id),
            ml,
            mean_hu: Some(hu),
            extent_mm: Some([0.0, 100.0]),
            slice: Some(3),
            cut: cut.into(),
            doubtful: Some(0.1),
        }
    }

    fn scan(name: &str, organs: Vec<OrganRow>) -> ScanRows {
        ScanRows { scan: name.into(), organs, warnings: Vec::new() }
    }

    #[test]
    fn a_distribution_is_robust_and_its_score_is_that_of_arithmetic() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1000.0];
        let d = Distribution::of(values, false).unwrap();
        // Deviations from 5: 4 3 2 1 0 1 2 3 995; their median is 2.
        assert_eq!((d.median, d.sigma), (5.0, 2.0 * MAD_TO_SIGMA));
        assert!((d.score(5.0 + 4.0 * MAD_TO_SIGMA) - 2.0).abs() < 1e-12);
        assert_eq!((d.quantile(0.0), d.quantile(0.5), d.quantile(1.0), d.quantile(0.0625)), (1.0, 5.0, 1000.0, 1.5));
        // Twice and half as large are equally far.
        let d = Distribution::of([10.0, 20.0, 40.0, 10.0, 20.0, 40.0, 20.0, 10.0, 40.0], true).unwrap();
        assert!((d.score(80.0) + d.score(5.0)).abs() < 1e-12 && d.score(80.0) > 0.0);
        assert!(Distribution::of([1.0; 7], false).is_none(), "seven are no cohort");
        assert_eq!(Distribution::of([1.0; 9], false).unwrap().score(50.0), 0.0, "no spread says nothing");
    }

    #[test]
    fn who_lies_apart_comes_first_and_what_the_scan_cuts_is_not_judged() {
        let mut scans: Vec<ScanRows> = (0..20)
            .map(|n| {
                scan(&format!("s{n:02}"), vec![row("liver", 1500.0 + 10.0 * f64::from(n), 60.0 + f64::from(n), "no")])
            })
            .collect();
        scans[4].organs[0].ml = 150.0;
        scans[7].organs[0].mean_hu = Some(-300.0);
        scans[9].organs[0] = row("liver", 20.0, 60.0, "inferior");
        let all = Collected::new(scans, BTreeMap::new());
        let order = all.by_oddity();
        assert_eq!(order[..2], [4, 7], "{:?}", all.odd);
        assert!(order[2..].iter().all(|&n| all.odd[n].is_empty()), "{:?}", all.odd);
        let odd = &all.odd[4][0];
        assert!(odd.what.starts_with("150.0 ml, where the median is 1600.0"), "{odd:?}");
        assert!(odd.score < -FAR && odd.slice == Some(3));
        assert!(all.odd[7][0].what.starts_with("a mean of -300 HU, where the median is"), "{:?}", all.odd[7]);
        let csv = all.csv();
        let cut = csv.lines().find(|line| line.starts_with("s09")).unwrap();
        assert_eq!(cut, "s09,liver,20.000,,60.0,,0.00,100.00,,inferior,0.1000,");
        assert_eq!(csv.lines().count(), 21);
    }

    #[test]
    fn a_scan_of_which_the_network_was_in_doubt_comes_first_and_one_of_which_it_was_sure_does_not() {
        let mut scans: Vec<ScanRows> =
            (0..20).map(|n| scan(&format!("s{n:02}"), vec![row("liver", 1500.0, 60.0, "no")])).collect();
        for (n, scan) in scans.iter_mut().enumerate() {
            scan.organs[0].doubtful = Some(0.1 + 0.005 * (n % 5) as f64);
        }
        scans[3].organs[0].doubtful = Some(0.75);
        scans[6].organs[0].doubtful = Some(0.001);
        // What an older version has made says nothing of it.
        scans[8].organs[0].doubtful = None;
        let all = Collected::new(scans, BTreeMap::new());
        let apart: Vec<usize> = (0..20).filter(|&n| !all.odd[n].is_empty()).collect();
        assert_eq!((apart, all.by_oddity()[0]), (vec![3], 3), "{:?}", all.odd);
        assert_eq!(all.odd[3][0].what, "doubtful in 75 % of its voxels, where the median is 11 %");
        let csv = all.csv();
        let of = |scan: &str| csv.lines().find(|line| line.starts_with(scan)).unwrap().to_string();
        assert!(of("s03").contains(",no,0.7500,") && of("s08").ends_with(",no,,"), "{csv}");
    }

    #[test]
    fn the_table_of_a_scan_is_read_as_it_is_written() {
        let text = "organ,name,tg263,patient_side,volume_ml,voxels,mean_hu,std_hu,min_hu,max_hu,first_slice,last_slice,\
                    first_slice_z_mm,last_slice_z_mm,centroid_x_left_mm,centroid_y_posterior_mm,centroid_z_superior_mm,\
                    cut_by_scan_end,training_patients,validation_dice\r\n\
                    liver,Liver,Liver,,1.296,144,8.0,4.0,4,12,2,5,106.00,115.00,1.00,2.00,3.00,no,20,0.9\r\n\
                    spleen,Spleen,Spleen,,0.000,0,,,,,,,,,,,,,20,0.9\r\n";
        let rows = read_statistics(text).unwrap();
        assert_eq!(rows[0].organ, organ("liver"));
        assert_eq!((rows[0].ml, rows[0].mean_hu, rows[0].slice), (1.296, Some(8.0), Some(3)));
        assert_eq!((rows[0].extent_mm, rows[0].cut.as_str()), (Some([106.0, 115.0]), "no"));
        // As it is written now, with both counts of slices.
        let now = text
            .replace("last_slice,first", "last_slice,first_k,last_k,first")
            .replace(",2,5,", ",3,6,2,5,")
            .replace("0,,,", "0,,,,,");
        assert_eq!(read_statistics(&now).unwrap(), rows);
        assert_eq!((rows[1].ml, rows[1].mean_hu, rows[1].extent_mm, rows[1].cut.as_str()), (0.0, None, None, ""));
        let error = read_statistics(&text.replace("volume_ml", "volume")).unwrap_err();
        assert!(error.to_string().contains("no column `volume_ml`"), "{error}");
        assert!(read_statistics(&text.replace("liver,Liver", "liverwurst,Liver")).is_err());
        assert!(read_statistics("").is_err());
    }

    #[test]
    fn failures_are_listed_with_their_reasons() {
        let line = |scan: &str, outcome| StatusLine {
            scan: scan.into(),
            outcome,
            seconds: 1.0,
            slices: 0,
            reason: Some("no CT, at all".into()),
            at: "2026-01-01T00:00:00Z".into(),
        };
        let status = [line("a", Outcome::Done), line("b", Outcome::Failed)].map(|line| (line.scan.clone(), line));
        let all = Collected::new(Vec::new(), status.into());
        assert_eq!(all.failures_csv(), "scan,reason,at\r\nb,\"no CT, at all\",2026-01-01T00:00:00Z\r\n");
    }
}

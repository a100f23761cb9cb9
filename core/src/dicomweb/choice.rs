//! Which series of a study is meant where nobody says: the same for the command line, the window and the page.

use super::rows::SeriesRow;

/// What a study has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scans<'a> {
    /// One scan: that one.
    One(&'a SeriesRow),
    /// No CT series.
    Nothing,
    /// Several, in the order of the list: somebody has to choose.
    Several(Vec<&'a SeriesRow>),
}

/// The CT series of a study. One image alone is a scout.
pub fn scans(all: &[SeriesRow]) -> Scans<'_> {
    let several: Vec<&SeriesRow> = all.iter().filter(|row| row.modality == "CT" && row.instances != Some(1)).collect();
    match several.as_slice() {
        [] => Scans::Nothing,
        [one] => Scans::One(one),
        _ => Scans::Several(several),
    }
}

/// Whether a series holds structures: an RT Structure Set or a Segmentation.
pub fn is_drawn(row: &SeriesRow) -> bool {
    matches!(row.modality.as_str(), "RTSTRUCT" | "SEG")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_scan_of_a_study_is_meant_and_scouts_and_structures_are_none() {
        let row = |uid: &str, modality: &str, instances| SeriesRow {
            uid: uid.into(),
            modality: modality.into(),
            instances,
            ..SeriesRow::default()
        };
        let all = [
            row("1", "CT", Some(1)),
            row("2", "CT", Some(80)),
            row("3", "RTSTRUCT", Some(1)),
            row("4", "MR", Some(20)),
            row("5", "CT", None),
        ];
        assert_eq!(scans(&all[..4]), Scans::One(&all[1]));
        assert_eq!(scans(&all), Scans::Several(vec![&all[1], &all[4]]));
        assert_eq!(scans(&all[2..4]), Scans::Nothing);
        assert_eq!(all.iter().filter(|row| is_drawn(row)).count(), 1);
    }
}

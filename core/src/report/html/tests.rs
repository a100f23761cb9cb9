use super::super::TrainedOrgan;
use super::super::samples::{organ, run, trained};
use super::text::{millilitres, signed};
use super::*;
use crate::infer::{RunInfo, SliceAnatomy};
use crate::volume::{CtVolume, Geometry, LabelVolume, Modality, Volume};

/// An elliptic body, 300 x 200 mm across, with a ball of 30 mm radius in it; voxels of 3 x 2 x 5 mm.
/// `at` is the ball's centre from the middle of the body, patient LPS mm.
fn body(ball: &str, at: [f64; 3]) -> (CtVolume, LabelVolume) {
    let (size, spacing) = ([120, 120, 40], [3.0, 2.0, 5.0]);
    let origin = [-178.5, -119.0, 400.0];
    let geometry = Geometry::axial(size, spacing, origin).unwrap();
    let (mut hu, mut labels) = (Vec::new(), Vec::new());
    for n in 0..geometry.voxel_count() {
        let p = geometry.to_patient([n % 120, n / 120 % 120, n / 14_400].map(|v| v as f64));
        let inside = (p[0] / 150.0).powi(2) + (p[1] / 100.0).powi(2) < 1.0;
        let r2: f64 = (0..3).map(|a| (p[a] - [0.0, 0.0, 497.5][a] - at[a]).powi(2)).sum();
        let hit = r2 < 900.0;
        hu.push(if hit {
            120
        } else if inside {
            30
        } else {
            -1000
        });
        labels.push(if hit { organ(ball).label() } else { 0 });
    }
    let ct = Volume::from_stored(geometry, hu, Modality::Ct).unwrap();
    let labels = ct.with_voxels(labels);
    (ct, labels)
}

fn slices() -> Vec<SliceAnatomy> {
    (0..40)
        .map(|k| SliceAnatomy {
            slice: k,
            position_mm: 400.0 + 5.0 * k as f64,
            regions: if k < 20 { [0.0, 0.0, 0.1, 0.8, 0.1] } else { [0.0, 0.1, 0.8, 0.1, 0.0] },
            attention: Some(std::array::from_fn(|c| (c as f32 + k as f32) / 80.0)),
        })
        .collect()
}

fn page(ct: &CtVolume, labels: &LabelVolume, trained: &[TrainedOrgan], run: &RunInfo) -> String {
    let slices = slices();
    let seg = ReportInput { ct, labels, slices: &slices, trained, run };
    report_html(&seg, &Statistics::measure(&seg).unwrap()).unwrap()
}

/// Everything between `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    let rest = &text[start..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("no {to} after {from}"))]
}

fn numbers(text: &str) -> Vec<f64> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).filter_map(|t| t.parse().ok()).collect()
}

/// The horizontal extent, in the units around it, of the first outline after `from`.
fn outline_extent(page: &str, from: &str) -> [f64; 2] {
    let group = between(&page[page.find(from).unwrap()..], "<g class=\"lines\" transform=\"", "</g>");
    let n = numbers(&group[..group.find('>').unwrap()]);
    let (shift, scale) = (n[0], n[2]);
    let path = between(group, " d=\"", "\"");
    // The first point is absolute, all others relative.
    let path = path.replace('-', " -");
    let n = numbers(&path.replace(['M', 'l', 'z'], " "));
    let (mut x, mut low, mut high) = (0.0, f64::MAX, f64::MIN);
    for dx in n.iter().step_by(2) {
        x += dx;
        low = f64::min(low, x);
        high = f64::max(high, x);
    }
    [shift + scale * low, shift + scale * high]
}

#[test]
fn the_patients_left_is_drawn_on_the_right_in_axial_and_coronal_pictures() {
    let (trained, run) = (trained(&["kidney_left"]), run());
    for (x, right) in [(60.0, true), (-60.0, false)] {
        let (ct, labels) = body("kidney_left", [x, 0.0, 0.0]);
        let page = page(&ct, &labels, &trained, &run);
        let axial = outline_extent(&page, "<figure class=\"card\"");
        let coronal = outline_extent(&page, "Coronal plane");
        let coronal_width = numbers(between(&page[page.find("Coronal plane").unwrap()..], "<image width=\"", "\""))[0];
        for (extent, middle) in [(axial, 310.0), (coronal, coronal_width / 2.0)] {
            let all_right = extent[0] > middle;
            let all_left = extent[1] < middle;
            assert_eq!((all_right, all_left), (right, !right), "{extent:?} about {middle}");
        }
    }
}

#[test]
fn millimetres_are_as_long_across_as_down_on_anisotropic_voxels() {
    let (ct, labels) = body("heart", [10.0, 5.0, 0.0]);
    let page = page(&ct, &labels, &trained(&["heart"]), &run());
    // Pixels of 3 x 2 mm in the axial picture, 3 x 5 in the coronal and 2 x 5 in the sagittal one; in tenths.
    for (from, x_mm, y_mm) in
        [("<figure class=\"card\"", 3.0, 2.0), ("Coronal plane", 3.0, 5.0), ("Sagittal plane", 2.0, 5.0)]
    {
        let group = between(&page[page.find(from).unwrap()..], "<g class=\"lines\" transform=\"", "\"");
        let n = numbers(&group[group.find("scale").unwrap()..]);
        assert!((n[0] / x_mm - n[1] / y_mm).abs() < 1e-5, "{from}: {group}");
    }
    // The ball is as wide as it is in the patient: 60 mm against the scale bar, on the slice through its middle.
    let cards = page.match_indices("<figure class=\"card\"").map(|(at, tag)| outline_extent(&page[at..], tag));
    let extent = cards.reduce(|a, b| if b[1] - b[0] > a[1] - a[0] { b } else { a }).unwrap();
    let bar = between(&page[page.find("<figure class=\"card\"").unwrap()..], "<g class=\"bar\">", "</g>");
    let cm: f64 = between(bar, "\">", " cm").parse().unwrap();
    let length = numbers(between(bar, " d=\"", "\""))[2];
    let mm = (extent[1] - extent[0]) / (length / (cm * 10.0));
    assert!((mm - 60.0).abs() < 4.0, "{mm}");
    // Image and outlines cover the same area.
    let coronal = &page[page.find("Coronal plane").unwrap()..];
    let (w, h) =
        (numbers(between(coronal, "<image width=\"", "\""))[0], numbers(between(coronal, "height=\"", "\""))[0]);
    assert!((h / 200.0 - w / 300.0).abs() < 0.03, "200 mm tall, 300 mm wide: {w} x {h}");
}

#[test]
fn text_from_outside_is_escaped_and_nothing_is_fetched() {
    let (ct, labels) = body("liver", [-40.0, 0.0, 0.0]);
    let mut run = run();
    run.inputs = vec!["<script>alert('x')</script>\u{202e}.nii".into()];
    run.warnings = vec!["a \"quoted\" <img src=x> warning".into()];
    run.device = "GPU & friends".into();
    run.options = vec![("<b>".into(), "</script>".into())];
    let page = page(&ct, &labels, &trained(&["liver"]), &run);
    assert!(!page.contains("<script>alert") && !page.contains("<img") && !page.contains("<b></b>"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{fffd}.nii"));
    assert!(page.contains("GPU &amp; friends") && page.contains("A &quot;quoted&quot; &lt;img src=x&gt; warning."));
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    let lower = page.to_lowercase();
    for forbidden in ["http:", "https:", "//www", "url(//", "@import", "<link", "<iframe"] {
        assert!(!lower.contains(forbidden), "{forbidden}");
    }
    assert!(lower.contains("default-src 'none'"));
}

#[test]
fn the_page_says_what_was_found_what_is_unknown_and_what_it_is_not() {
    let (ct, labels) = body("liver", [-40.0, 0.0, 0.0]);
    let mut trained = trained(&["liver", "spleen", "heart", "larynx"]);
    trained[0].validation_dice = Some(0.55);
    trained[2].enabled = false;
    let page = page(&ct, &labels, &trained, &run());
    assert_eq!(page.matches(NOT_A_MEDICAL_DEVICE).count(), 1);
    assert!(page.contains("<b>1 of 3</b>"));
    assert!(page.contains("Not found, though the scan reaches their part of the body:</b> Spleen."));
    assert!(page.contains("their part of the body was not scanned:</b> Larynx."));
    let organs = between(&page, "<table class=\"organs\">", "</table>");
    assert!(between(organs, ">Larynx</th>", "</tr>").contains("outside this scan"));
    assert!(between(organs, ">Spleen</th>", "</tr>").contains("not found"));
    assert!(page.contains("Chest to upper abdomen"));
    assert!(page.contains("weak on validation patients (mean Dice below 0.70): Liver (0.55)"));
    let unknown = between(&page, "id=\"unknown\"", "</section>");
    assert!(unknown.contains("<li>Stomach</li>") && !unknown.contains("<li>Liver</li>"));
    assert!(between(unknown, "switched off", "</ul>").contains("Heart"));
    assert_eq!(page.matches("url(#hatch)").count(), 29 + 1, "29 of 33 columns, and the legend");
    assert_eq!(page.matches("<th scope=\"row\">").count(), 3);
    assert!(page.matches("role=\"img\" aria-label=").count() >= 2);
}

#[test]
fn slices_that_were_skipped_are_those_beside_them_and_slices_beyond_are_nothing() {
    let at = |slice| SliceAnatomy { slice, position_mm: 0.0, regions: [0.2; 5], attention: None };
    let told = |run: &[usize], count| {
        let run: Vec<SliceAnatomy> = run.iter().map(|&slice| at(slice)).collect();
        let rows = maps::nearest(&run.iter().collect::<Vec<_>>(), count);
        rows.into_iter().map(|row| row.map(|row| row.slice)).collect::<Vec<_>>()
    };
    assert_eq!(told(&[0, 3, 6], 8), [0, 0, 3, 3, 3, 6, 6, 6].map(Some));
    let (five, six, eight) = (Some(5), Some(6), Some(8));
    assert_eq!(told(&[5, 6, 8], 12), [None, None, None, None, five, five, six, eight, eight, eight, None, None]);
    assert_eq!(told(&[], 2), [None, None]);
    // The page covers both ends and says so; where all is run, or every second slice, it has nothing to cover.
    let (ct, labels) = body("liver", [-40.0, 0.0, 0.0]);
    let count = ct.geometry.size[2];
    let (trained, run) = (trained(&["liver"]), run());
    let covered = |page: &str| page.matches("<rect class=\"h0\" x=").count();
    let page_of = |slices: &mut dyn Iterator<Item = usize>| {
        let attention = Some([0.5; crate::anatomy::ORGAN_COUNT]);
        let slices: Vec<_> = slices.map(|slice| SliceAnatomy { attention, ..at(slice) }).collect();
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
        report_html(&seg, &Statistics::measure(&seg).unwrap()).unwrap()
    };
    let short = page_of(&mut (2..count - 3));
    assert_eq!((covered(&short), short.contains("Grey: slices on which the network was not run")), (3 * 2, true));
    for whole in [page_of(&mut (0..count)), page_of(&mut (0..count).step_by(2))] {
        assert_eq!((covered(&whole), whole.contains("Grey: ")), (0, false));
    }
}

#[test]
fn a_network_without_attention_and_a_scan_of_one_slice_still_give_a_page() {
    let geometry = Geometry::axial([7, 5, 1], [10.0, 10.0, 3.0], [0.0; 3]).unwrap();
    let ct = Volume::from_stored(geometry, vec![-1000i16; 35], Modality::Ct).unwrap();
    let labels = ct.with_voxels(vec![0u8; 35]);
    let (trained, run) = (trained(&["liver"]), RunInfo::default());
    let slices = [SliceAnatomy { slice: 0, position_mm: 0.0, regions: [0.0; 5], attention: None }];
    for slices in [&slices[..], &[]] {
        let seg = ReportInput { ct: &ct, labels: &labels, slices, trained: &trained, run: &run };
        let page = report_html(&seg, &Statistics::measure(&seg).unwrap()).unwrap();
        assert!(page.contains("network without attention"));
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }
}

#[test]
fn numbers_and_times_read_as_people_write_them() {
    assert_eq!(
        (millilitres(1234.4), millilitres(12.34), millilitres(0.456)),
        ("1234".into(), "12.3".into(), "0.46".into())
    );
    assert_eq!(signed(-12.4, 0), "\u{2212}12");
    assert_eq!((duration(3.21), duration(61.0), duration(125.4)), ("3.2 s".into(), "61 s".into(), "2 min 05 s".into()));
    assert!(date("2026-01-02T03:04:05.123Z").contains(">2026-01-02 03:04 UTC<"));
    assert!(date("2026-01-02T03:04:05+02:00").contains(">2026-01-02 03:04 +02:00<"));
    assert!(date("yesterday <3").contains(">yesterday &lt;3<"));
}

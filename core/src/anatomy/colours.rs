//! Colours of organs and regions.
//!
//! Neighbouring organs must stay apart for everyone, also with red-green blindness, where hue fails and only lightness
//! and the blue-yellow axis are left. The colours started from what people expect (red heart, yellow cord, blue airways) and were moved as
//! little as possible until every pair differed by a CIEDE2000 of 11.5 and every pair of neighbours by 16 in normal vision,
//! simulated protanopia and simulated deuteranopia. The tests below hold both.

use super::organ::{ORGAN_COUNT, Organ};
use super::region::{REGION_COUNT, Region};

/// sRGB colours by organ index.
#[rustfmt::skip] // one row for each organ
const ORGANS: [[u8; 3]; ORGAN_COUNT] = [
    [236, 198, 152], // BrainStem
    [255, 140, 205], // ConstrictorNaris
    [98, 221, 202], // EarLeft
    [8, 114, 107], // EarRight
    [98, 208, 255], // EyeLeft
    [41, 146, 239], // EyeRight
    [255, 79, 60], // Hypophysis
    [171, 242, 127], // Larynx
    [245, 235, 193], // Mandible
    [226, 97, 123], // OralCavity
    [255, 172, 49], // ParotidLeft
    [195, 92, 8], // ParotidRight
    [201, 146, 255], // SubmandibularGlandLeft
    [128, 93, 224], // SubmandibularGlandRight
    [255, 221, 6], // SpinalCord
    [206, 17, 128], // SublingualGland
    [109, 130, 255], // TemporalLobeLeft
    [60, 88, 197], // TemporalLobeRight
    [182, 165, 127], // TmjLeft
    [186, 138, 158], // TmjRight
    [68, 177, 175], // Trachea
    [199, 1, 25], // Heart
    [185, 219, 255], // LungLeft
    [19, 122, 142], // LungRight
    [191, 94, 229], // Esophagus
    [102, 215, 141], // Gallbladder
    [252, 152, 126], // KidneyLeft
    [187, 83, 82], // KidneyRight
    [232, 182, 201], // BowelBag
    [213, 128, 29], // Liver
    [231, 246, 67], // Pancreas
    [152, 64, 147], // Spleen
    [26, 128, 87], // Stomach
];

/// sRGB colours by region index: the ribbon runs from light to dark down the body, so that its order needs no hue.
const REGIONS: [[u8; 3]; REGION_COUNT] =
    [[253, 236, 160], [150, 208, 120], [62, 168, 160], [62, 114, 172], [108, 52, 134]];

impl Organ {
    /// sRGB colour, the same in viewer, exports and documents.
    pub fn colour(self) -> [u8; 3] {
        ORGANS[self.index()]
    }
}

impl Region {
    /// sRGB colour of the region ribbon along the body.
    pub fn colour(self) -> [u8; 3] {
        REGIONS[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Organ, Organ::*, Region};

    /// Pairs that touch or nearly touch in some slice, and the two sides of the organs that look alike.
    #[rustfmt::skip]
    const NEIGHBOURS: &[(Organ, Organ)] = &[
        (BrainStem, SpinalCord),
        (BrainStem, TemporalLobeLeft),
        (BrainStem, TemporalLobeRight),
        (BrainStem, Hypophysis),
        (Hypophysis, TemporalLobeLeft),
        (Hypophysis, TemporalLobeRight),
        (ConstrictorNaris, Larynx),
        (ConstrictorNaris, Esophagus),
        (ConstrictorNaris, OralCavity),
        (Larynx, Trachea),
        (Larynx, Esophagus),
        (Trachea, Esophagus),
        (EarLeft, TmjLeft),
        (EarRight, TmjRight),
        (EarLeft, TemporalLobeLeft),
        (EarRight, TemporalLobeRight),
        (EarLeft, ParotidLeft),
        (EarRight, ParotidRight),
        (TmjLeft, TemporalLobeLeft),
        (TmjRight, TemporalLobeRight),
        (TmjLeft, Mandible),
        (TmjRight, Mandible),
        (TmjLeft, ParotidLeft),
        (TmjRight, ParotidRight),
        (Mandible, ParotidLeft),
        (Mandible, ParotidRight),
        (Mandible, OralCavity),
        (Mandible, SubmandibularGlandLeft),
        (Mandible, SubmandibularGlandRight),
        (Mandible, SublingualGland),
        (OralCavity, SublingualGland),
        (OralCavity, SubmandibularGlandLeft),
        (OralCavity, SubmandibularGlandRight),
        (SublingualGland, SubmandibularGlandLeft),
        (SublingualGland, SubmandibularGlandRight),
        (ParotidLeft, SubmandibularGlandLeft),
        (ParotidRight, SubmandibularGlandRight),
        (Larynx, SubmandibularGlandLeft),
        (Larynx, SubmandibularGlandRight),
        (EyeLeft, TemporalLobeLeft),
        (EyeRight, TemporalLobeRight),
        (EyeLeft, EyeRight),
        (Trachea, LungLeft),
        (Trachea, LungRight),
        (Esophagus, LungLeft),
        (Esophagus, LungRight),
        (Esophagus, Heart),
        (Trachea, Heart),
        (Heart, LungLeft),
        (Heart, LungRight),
        (Heart, Liver),
        (Heart, Stomach),
        (LungLeft, LungRight),
        (LungRight, Liver),
        (LungLeft, Liver),
        (LungLeft, Spleen),
        (LungLeft, Stomach),
        (Esophagus, Stomach),
        (Esophagus, Liver),
        (Liver, Gallbladder),
        (Liver, KidneyRight),
        (Liver, Stomach),
        (Liver, Pancreas),
        (Liver, BowelBag),
        (Liver, Spleen),
        (Gallbladder, BowelBag),
        (Gallbladder, Pancreas),
        (Gallbladder, Stomach),
        (Gallbladder, KidneyRight),
        (Pancreas, Stomach),
        (Pancreas, Spleen),
        (Pancreas, BowelBag),
        (Pancreas, KidneyLeft),
        (Spleen, Stomach),
        (Spleen, KidneyLeft),
        (Spleen, BowelBag),
        (Stomach, BowelBag),
        (KidneyLeft, BowelBag),
        (KidneyRight, BowelBag),
        (KidneyLeft, KidneyRight),
        (SpinalCord, Esophagus),
        (TemporalLobeLeft, TemporalLobeRight),
        (ParotidLeft, ParotidRight),
        (SubmandibularGlandLeft, SubmandibularGlandRight),
        (EarLeft, EarRight),
        (TmjLeft, TmjRight),
        (KidneyLeft, Stomach),
        (SpinalCord, LungLeft),
        (SpinalCord, LungRight),
    ];

    fn linear(colour: [u8; 3]) -> [f64; 3] {
        colour.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(m: [[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
        m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
    }

    /// Linear sRGB to CIELAB, D65.
    fn lab(rgb: [f64; 3]) -> [f64; 3] {
        let xyz = times(
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
            rgb,
        );
        let white = [0.95047, 1.0, 1.08883];
        let f: [f64; 3] = std::array::from_fn(|i| {
            let t = xyz[i] / white[i];
            if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
        });
        [116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])]
    }

    /// CIEDE2000 colour difference (Sharma, Wu, Dalal 2005).
    fn ciede2000([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
        let seventh = |c: f64| (c.powi(7) / (c.powi(7) + 25f64.powi(7))).sqrt();
        let g = 0.5 * (1.0 - seventh((a1.hypot(b1) + a2.hypot(b2)) / 2.0));
        let (a1, a2) = (a1 * (1.0 + g), a2 * (1.0 + g));
        let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
        let hue = |a: f64, b: f64| b.atan2(a).to_degrees().rem_euclid(360.0);
        let (h1, h2) = (hue(a1, b1), hue(a2, b2));
        let grey = c1 * c2 == 0.0;
        let mut dh = h2 - h1;
        if dh > 180.0 {
            dh -= 360.0;
        } else if dh < -180.0 {
            dh += 360.0;
        }
        let dh = if grey { 0.0 } else { 2.0 * (c1 * c2).sqrt() * (dh / 2.0).to_radians().sin() };
        let (l, c) = ((l1 + l2) / 2.0, (c1 + c2) / 2.0);
        let sum = h1 + h2;
        let h = match () {
            () if grey => sum,
            () if (h1 - h2).abs() <= 180.0 => sum / 2.0,
            () if sum < 360.0 => (sum + 360.0) / 2.0,
            () => (sum - 360.0) / 2.0,
        };
        let cos = |degrees: f64| degrees.to_radians().cos();
        let t =
            1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0) - 0.20 * cos(4.0 * h - 63.0);
        let sl = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
        let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
        let turn = 60.0 * (-((h - 275.0) / 25.0).powi(2)).exp();
        let rt = -2.0 * seventh(c) * turn.to_radians().sin();
        let (dl, dc, dh) = ((l2 - l1) / sl, (c2 - c1) / sc, dh / sh);
        (dl * dl + dc * dc + dh * dh + rt * dc * dh).sqrt()
    }

    /// Red-green blindness simulated in linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
    const VISIONS: [(&str, [[f64; 3]; 3]); 3] = [
        ("normal", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        ),
        (
            "deuteranopia",
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        ),
    ];

    fn seen(colour: [u8; 3], vision: [[f64; 3]; 3]) -> [f64; 3] {
        lab(times(vision, linear(colour)).map(|c| c.clamp(0.0, 1.0)))
    }

    #[test]
    fn colour_difference_agrees_with_the_published_test_data() {
        // Sharma, Wu, Dalal 2005, table 1, pairs 1, 7, 17, 25 and 33.
        for (p, q, published) in [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
            ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
            ([6.7747, -0.2908, -2.4247], [5.8714, -0.0985, -2.2286], 0.6377),
        ] {
            assert!((ciede2000(p, q) - published).abs() < 1e-4, "{p:?} {q:?}: {}", ciede2000(p, q));
        }
    }

    #[test]
    fn any_two_organs_have_clearly_different_colours() {
        for (n, a) in Organ::ALL.into_iter().enumerate() {
            for b in &Organ::ALL[..n] {
                let d = ciede2000(lab(linear(a.colour())), lab(linear(b.colour())));
                assert!(d > 11.5, "{a} and {b} differ by {d:.1}");
            }
        }
    }

    #[test]
    fn neighbours_stay_apart_with_red_green_blindness() {
        for &(a, b) in NEIGHBOURS {
            for (vision, matrix) in VISIONS {
                let d = ciede2000(seen(a.colour(), matrix), seen(b.colour(), matrix));
                assert!(d > 16.0, "{a} and {b} differ by {d:.1} with {vision}");
            }
        }
    }

    #[test]
    fn colours_stand_out_on_the_greys_of_a_ct() {
        for organ in Organ::ALL {
            let [l, a, b] = lab(linear(organ.colour()));
            assert!(l > 40.0 && a.hypot(b) > 20.0, "{organ}: lightness {l:.0}, chroma {:.0}", a.hypot(b));
        }
    }

    #[test]
    fn regions_darken_down_the_body_in_every_vision() {
        for (vision, matrix) in VISIONS {
            for pair in Region::ALL.windows(2) {
                let [upper, lower] = [pair[0], pair[1]].map(|r| seen(r.colour(), matrix)[0]);
                assert!(upper > lower + 8.0, "{} to {} with {vision}: {upper:.0} {lower:.0}", pair[0], pair[1]);
            }
        }
    }
}

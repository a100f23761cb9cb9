//! sRGB to CIELAB as DICOM writes it (PS3.3 C.10.7.1.1: the profile connection space of ICC, white D50) and back.

/// sRGB (D65) to XYZ of D50, by Bradford's adaptation (ICC.1, sRGB profile).
const TO_XYZ: [[f64; 3]; 3] =
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]];
const TO_RGB: [[f64; 3]; 3] =
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]];
const WHITE: [f64; 3] = [0.96422, 1.0, 0.82521];

fn times(m: [[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
}

/// The three numbers of RecommendedDisplayCIELabValue (0062,000D).
pub(super) fn to_lab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    let xyz = times(TO_XYZ, linear);
    let f: [f64; 3] = std::array::from_fn(|n| {
        let t = xyz[n] / WHITE[n];
        if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
    });
    let lab = [116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])];
    let scaled = [lab[0] / 100.0, (lab[1] + 128.0) / 255.0, (lab[2] + 128.0) / 255.0];
    scaled.map(|v| (v * 65535.0).round().clamp(0.0, 65535.0) as u16)
}

/// Back to sRGB.
pub(super) fn to_rgb(lab: [u16; 3]) -> [u8; 3] {
    let scaled = lab.map(|v| f64::from(v) / 65535.0);
    let [l, a, b] = [scaled[0] * 100.0, scaled[1] * 255.0 - 128.0, scaled[2] * 255.0 - 128.0];
    let y = (l + 16.0) / 116.0;
    let xyz: [f64; 3] = [y + a / 500.0, y, y - b / 200.0].map(|f: f64| {
        let cube = f.powi(3);
        if cube > 216.0 / 24389.0 { cube } else { (116.0 * f - 16.0) * 27.0 / 24389.0 }
    });
    let linear = times(TO_RGB, std::array::from_fn(|n| xyz[n] * WHITE[n]));
    linear.map(|c| {
        let c = if c <= 0.0031308 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
        (c * 255.0).round().clamp(0.0, 255.0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Organ;

    #[test]
    fn colours_come_back_and_agree_with_another_program() {
        for organ in Organ::ALL {
            let [a, b] = [organ.colour(), to_rgb(to_lab(organ.colour()))];
            assert!((0..3).all(|n| a[n].abs_diff(b[n]) <= 1), "{a:?} {b:?}");
        }
        assert_eq!(to_lab([0, 0, 0])[0], 0);
        assert!(to_lab([255, 255, 255])[0] > 65525);
        // ICC: sRGB red in D50 is L 54.29, a 80.80, b 69.89.
        let red = to_lab([255, 0, 0]).map(f64::from);
        let expected = [54.29 / 100.0, (80.80 + 128.0) / 255.0, (69.89 + 128.0) / 255.0];
        assert!((0..3).all(|n| (red[n] / 65535.0 - expected[n]).abs() < 1e-3), "{red:?}");
    }
}

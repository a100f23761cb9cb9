//! The intensity curve: HU to [0, 1], piecewise linear.
//!
//! Soft tissue gets most of the range, because most organs differ by a few tens of HU; lung, fat and bone keep enough
//! to be told apart. A curve rather than a window: nothing between air and metal is lost entirely.

/// DESIGN section 4: `[HU, intensity]`.
pub(super) const DEFAULT_KNOTS: [[f64; 2]; 6] =
    [[-1000.0, 0.0], [-500.0, 0.10], [-160.0, 0.20], [240.0, 0.85], [700.0, 0.95], [2000.0, 1.0]];

/// Value at `hu` of the curve through `knots` (rising in HU), constant beyond both ends.
pub(super) fn piecewise_linear(knots: &[[f64; 2]], hu: f32) -> f32 {
    let x = f64::from(hu);
    let (Some(first), Some(last)) = (knots.first(), knots.last()) else {
        return 0.0;
    };
    // Not a number counts as air.
    if x.is_nan() || x <= first[0] {
        return first[1] as f32;
    }
    for pair in knots.windows(2) {
        let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
        if x < x1 {
            return (y0 + (y1 - y0) * ((x - x0) / (x1 - x0))) as f32;
        }
    }
    last[1] as f32
}

#[cfg(test)]
mod tests {
    use crate::preprocess::InputConfig;

    #[test]
    fn the_curve_passes_exactly_through_its_knots_and_is_flat_beyond() {
        let config = InputConfig::light();
        for (hu, value) in [(-1000.0, 0.0), (-500.0, 0.10), (-160.0, 0.20), (240.0, 0.85), (700.0, 0.95), (2000.0, 1.0)]
        {
            assert_eq!(config.intensity(hu), value as f32, "{hu} HU");
        }
        assert_eq!(config.intensity(-3024.0), 0.0);
        assert_eq!(config.intensity(30_000.0), 1.0);
        assert_eq!(config.intensity(f32::NAN), 0.0);
        // Half-way between two knots lies half-way between their values.
        assert!((config.intensity(40.0) - 0.525).abs() < 1e-6);
        assert!((config.intensity(-750.0) - 0.05).abs() < 1e-6);
        let mut before = -1.0;
        for hu in -1100..2100 {
            let value = config.intensity(hu as f32);
            assert!(value >= before, "falls at {hu} HU");
            before = value;
        }
    }
}

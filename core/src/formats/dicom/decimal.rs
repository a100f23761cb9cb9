//! Numbers as text of at most 16 characters (VR DS, PS3.5 6.2).

/// The most characters of a number.
const DS_CHARACTERS: usize = 16;

/// How many decimals of a number 16 characters hold, beside its sign, its digits before the point and the point.
pub(super) fn most_decimals(value: f64) -> usize {
    // Of -0.5, too, this has the sign.
    let whole = format!("{:.0}", value.trunc()).len();
    DS_CHARACTERS.saturating_sub(whole + 1)
}

/// A number in at most 16 characters (DS), to so many decimals as far as they have room; zeros at the end are left out.
pub(super) fn decimal(value: f64, places: usize) -> String {
    whole_parts(value, places).unwrap_or_else(|| exact_decimal(value, places))
}

fn exact_decimal(value: f64, places: usize) -> String {
    let mut out = format!("{value:.places$}");
    // A number that was rounded up may have one digit more before the point, and zeros behind it.
    if out.contains('.') {
        out.truncate(out.trim_end_matches('0').trim_end_matches('.').len());
    }
    if out.len() > DS_CHARACTERS {
        out = format!("{value:.8e}");
    }
    if out == "-0" { "0".into() } else { out }
}

/// [`decimal`] in whole numbers, ten times as fast, where no digit can depend on how they were multiplied.
fn whole_parts(value: f64, places: usize) -> Option<String> {
    let parts = 10u64.checked_pow(u32::try_from(places).ok()?)?;
    let scaled = value.abs() * parts as f64;
    // Below this a product is wrong by less than a ten millionth.
    let whole = scaled.floor();
    let is_clear = scaled < 1e9 && (scaled - whole - 0.5).abs() > 1e-6;
    let number = whole as u64 + u64::from(scaled - whole > 0.5);
    let sign = if value < 0.0 && number > 0 { "-" } else { "" };
    let (units, mut rest, mut digits) = (number / parts, number % parts, places);
    while rest > 0 && rest % 10 == 0 {
        (rest, digits) = (rest / 10, digits - 1);
    }
    is_clear.then(|| if rest == 0 { format!("{sign}{units}") } else { format!("{sign}{units}.{rest:0digits$}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_at_most_sixteen_characters() {
        for (value, point, grid) in [
            (0.0, "0", "0"),
            (-0.00001, "0", "-0.00001"),
            (12.5, "12.5", "12.5"),
            (-240.123456, "-240.1235", "-240.123456"),
            (100.0, "100", "100"),
            (2.0 / 3.0, "0.6667", "0.66666666666667"),
            (-2.0 / 3.0, "-0.6667", "-0.6666666666667"),
            (-31.7 + 12.0 * 1.3, "-16.1", "-16.1"),
            (9.999_999_999_999_999, "10", "10"),
            (-99.999_999_999_999_99, "-100", "-100"),
            (-1e-17, "0", "0"),
            (1e300, "1.00000000e300", "1.00000000e300"),
            (-1.5e-300, "0", "0"),
            (123_456_789_012_345.0, "123456789012345", "123456789012345"),
            (-123_456_789_012.25, "-123456789012.25", "-123456789012.25"),
            (-1_234_567_890_123.25, "-1.23456789e12", "-1234567890123.2"),
        ] {
            assert_eq!([decimal(value, 4), decimal(value, most_decimals(value))], [point, grid]);
            assert!(point.len() <= DS_CHARACTERS && grid.len() <= DS_CHARACTERS);
        }
    }

    #[test]
    fn whole_parts_are_the_exact_decimals() {
        let (mut state, mut quick) = (1u64, 0);
        for n in 0..60_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Anything, steps of a pixel from an origin, and halves of the last place.
            let value = match n % 3 {
                0 => (state >> 33) as f64 / 3.7e6 - 290.0,
                1 => -249.511_718_75 + 0.488_281_25 * (state >> 54) as f64,
                _ => ((state >> 50) as f64 - 8192.0) / 32.0,
            };
            for places in [0, 1, 4, 7] {
                let exact = exact_decimal(value, places);
                assert_eq!(decimal(value, places), exact, "{value} {places}");
                quick += usize::from(whole_parts(value, places).is_some());
            }
        }
        assert!(quick > 150_000, "{quick}");
    }
}

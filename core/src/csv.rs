//! Comma-separated values as RFC 4180 has them: CRLF, and quotes only where a field needs them.

/// Appends one record.
pub fn push_record<S: AsRef<str>>(out: &mut String, fields: impl IntoIterator<Item = S>) {
    for (n, field) in fields.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        let field = field.as_ref();
        if field.contains([',', '"', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// A number with `decimals` digits after the point; empty where it is not a number, never `-0`.
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_string(),
        _ => text,
    }
}

/// `value` to six significant digits, as far as single precision is known.
pub fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value) + 0.0
}

/// The same as text, without zeros at its end; empty where it is not a number. Small values have an exponent.
pub fn significant(value: f64) -> String {
    let value = six_digits(value);
    match value.abs() {
        _ if !value.is_finite() => String::new(),
        0.0 => "0".into(),
        size if size < 1e-4 => format!("{value:e}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_quotes_and_line_ends_are_quoted_as_rfc_4180_says() {
        let mut out = String::new();
        push_record(&mut out, ["plain", "a,b", "say \"x\"", "two\nlines", ""]);
        assert_eq!(out, "plain,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\r\n");
    }

    #[test]
    fn numbers_have_fixed_digits_and_no_negative_zero() {
        assert_eq!(number(-0.0001, 2), "0.00");
        assert_eq!(number(-1.256, 2), "-1.26");
        assert_eq!(number(f64::NAN, 2), "");
    }

    #[test]
    fn six_digits_of_a_value_survive_however_small_it_is() {
        for (value, text) in [
            (0.123_456_78, "0.123457"),
            (1.0, "1"),
            (0.5, "0.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (3.251_487_6e-5, "3.25149e-5"),
            (-1e-9, "-1e-9"),
            (123_456_789.0, "123457000"),
            (f64::NAN, ""),
            (f64::INFINITY, ""),
        ] {
            assert_eq!(significant(value), text);
            let digits = |v: f64| format!("{v:.5e}");
            assert!(
                !value.is_finite() || text.parse().is_ok_and(|read| digits(read) == digits(value + 0.0)),
                "{value}"
            );
        }
    }
}

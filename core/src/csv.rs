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
}

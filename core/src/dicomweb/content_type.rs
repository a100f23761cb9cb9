//! Content-Type fields (RFC 9110 8.3.1, RFC 2045 5.1): a media type and its parameters, quoted or not.

/// A media type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentType {
    /// Type and subtype, in small letters.
    pub essence: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Reads a field; what is no parameter is left out.
    pub fn parse(field: &str) -> Self {
        let mut parts = parts(field).into_iter();
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameter = |part: String| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), unquoted(value.trim())))
        };
        Self { essence, parameters: parts.filter_map(parameter).collect() }
    }

    /// A parameter, by its name in small letters.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The field cut at semicolons that stand in no quotes.
fn parts(field: &str) -> Vec<String> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for c in field.chars() {
        match c {
            ';' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut out, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_quoted_or_not_in_any_order() {
        for (field, boundary) in [
            ("multipart/related; type=\"application/dicom\"; boundary=aafc-9", "aafc-9"),
            ("Multipart/Related;boundary=\"a b;c=d\";type=application/dicom", "a b;c=d"),
            ("multipart/related ; BOUNDARY = \"x\\\"y\" ; other", "x\"y"),
            ("multipart/related; boundary=\"never closed", "never closed"),
        ] {
            let read = ContentType::parse(field);
            assert_eq!(
                (read.essence.as_str(), read.parameter("boundary")),
                ("multipart/related", Some(boundary)),
                "{field}"
            );
        }
        assert_eq!(ContentType::parse("text/html").parameter("boundary"), None);
        assert_eq!(ContentType::parse(""), ContentType { essence: String::new(), parameters: Vec::new() });
    }
}

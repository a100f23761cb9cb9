//! Text, numbers and times as a page shows them.

/// Text that stands for itself in HTML, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Controls and overrides of the writing direction can make a name look like another.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// A warning as a sentence: capital first letter, full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

/// A signed number with a true minus sign.
pub fn signed(value: f64, decimals: usize) -> String {
    crate::csv::number(value, decimals).replace('-', "\u{2212}")
}

/// Millilitres with three significant digits or so.
pub fn millilitres(ml: f64) -> String {
    match ml {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A time in seconds, or in minutes from 100 s on.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
    }
}

/// An RFC 3339 time as people write it; anything else as it is.
pub fn date(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let readable = match (text.get(..10), text.get(10..11), text.get(11..16)) {
        (Some(day), Some("T" | "t" | " "), Some(time)) => {
            let zone = text[16..].trim_start_matches(|c: char| c == ':' || c == '.' || c.is_ascii_digit());
            let zone = if zone.eq_ignore_ascii_case("z") { "UTC" } else { zone };
            format!("{day} {time} {zone}")
        }
        _ => text.to_string(),
    };
    format!("<time datetime=\"{}\">{}</time>", escape(text), escape(readable.trim()))
}

/// A colour as `#rrggbb`.
pub fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

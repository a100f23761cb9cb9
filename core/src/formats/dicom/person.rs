//! Names and dates of DICOM as people write them.

/// A person name (PN, PS3.5 6.2.1) for people: `Yamada, Tarou · 山田 太郎 · やまだ たろう`. Its groups stand in their order (alphabetic,
/// ideographic, phonetic), each once; a group has family name, given name, middle name, prefix and suffix.
pub fn person_name(value: &str) -> String {
    let mut groups: Vec<String> = Vec::new();
    for (place, group) in value.split('=').enumerate() {
        let name = one_group(group, place == 0);
        if !name.is_empty() && !groups.contains(&name) {
            groups.push(name);
        }
    }
    groups.join(" \u{b7} ")
}

fn one_group(group: &str, is_alphabetic: bool) -> String {
    let mut parts = group.split('^').map(str::trim);
    let mut next = || parts.next().unwrap_or_default();
    let [family, given, middle, prefix, suffix] = [next(), next(), next(), next(), next()];
    let joined = |parts: &[&str], by: &str| {
        let filled: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        filled.join(by)
    };
    if !is_alphabetic {
        return joined(&[family, given, middle, prefix, suffix], " ");
    }
    joined(&[family, &joined(&[prefix, given, middle], " "), suffix], ", ")
}

/// A date (DA, PS3.5 6.2) that nobody reads the wrong way round, `1952-03-17`; as it stands where it is none.
pub fn date(value: &str) -> String {
    let digits: String = value.chars().filter(|c| *c != '.' && *c != '-').collect();
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return value.trim().to_owned();
    }
    format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_people_write_them() {
        for (value, name) in [
            ("Adams^John Robert Quincy^^Rev.^B.A. M.Div.", "Adams, Rev. John Robert Quincy, B.A. M.Div."),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou · 山田 太郎 · やまだ たろう"),
            ("=山田^太郎", "山田 太郎"),
            ("Hong^Gildong=洪^吉洞=홍^길동", "Hong, Gildong · 洪 吉洞 · 홍 길동"),
            ("anonymous", "anonymous"),
            ("Doe^^", "Doe"),
            ("^^^^", ""),
            ("", ""),
        ] {
            assert_eq!(person_name(value), name, "{value}");
        }
    }

    #[test]
    fn dates_are_told_from_the_year_down() {
        assert_eq!(
            ["19520317", "1952.03.17", "1952", " unknown ", ""].map(date),
            ["1952-03-17", "1952-03-17", "1952", "unknown", ""]
        );
    }
}

//! Elements of a data set in the DICOM JSON model (PS3.18 annex F), read as servers write them and not only as the standard has it: tags in
//! small letters, values that are no list, numbers that are text and text that is a number, names that are plain text. What cannot be
//! understood is absent, and takes nothing else with it: one odd attribute must not hide a study. (`dicom-json` gives up on the whole answer
//! there, which is right for a data set and wrong for a list.)

use serde_json::{Map, Value};

/// A data set.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(&'a Map<String, Value>);

impl<'a> Attributes<'a> {
    /// The data set of a JSON value, if it is one.
    pub fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// The values of an element, those that are null left out. A tag is eight capital hexadecimal digits.
    fn values(&self, tag: &str) -> impl Iterator<Item = &'a Value> {
        let element = self.0.get(tag).or_else(|| self.0.get(&tag.to_ascii_lowercase()));
        let value = match element {
            Some(Value::Object(element)) => element.get("Value"),
            other => other,
        };
        let all: &[Value] = match value {
            Some(Value::Array(all)) => all,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        all.iter().filter(|value| !value.is_null())
    }

    /// The first value as text, empty when absent.
    pub fn text(&self, tag: &str) -> String {
        self.texts(tag).into_iter().next().unwrap_or_default()
    }

    /// All values as text. Some servers put several into one, with backslashes between them.
    pub fn texts(&self, tag: &str) -> Vec<String> {
        let mut all = Vec::new();
        for value in self.values(tag) {
            match value {
                Value::String(text) => all.extend(text.split('\\').map(|part| clean(part).to_owned())),
                Value::Number(number) => all.push(number.to_string()),
                _ => {}
            }
        }
        all.retain(|text| !text.is_empty());
        all
    }

    /// The first value as a whole number.
    pub fn integer(&self, tag: &str) -> Option<i64> {
        let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64);
        match self.values(tag).next()? {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => {
                let text = clean(text);
                text.parse().ok().or_else(|| whole(text.parse().ok()?))
            }
            _ => None,
        }
    }

    /// The first value as a count: never below nought.
    pub fn count(&self, tag: &str) -> Option<usize> {
        self.integer(tag).and_then(|number| usize::try_from(number).ok())
    }

    /// A person name (PN) with its groups as a file would have it: alphabetic, ideographic, phonetic, with `=` between.
    pub fn person(&self, tag: &str) -> String {
        match self.values(tag).next() {
            Some(Value::Object(groups)) => {
                let group = |name: &str| groups.get(name).and_then(Value::as_str).map(clean).unwrap_or_default();
                [group("Alphabetic"), group("Ideographic"), group("Phonetic")].join("=")
            }
            Some(Value::String(text)) => clean(text).to_owned(),
            _ => String::new(),
        }
    }

    /// The items of a sequence.
    pub fn items(&self, tag: &str) -> Vec<Attributes<'a>> {
        self.values(tag).filter_map(Self::of).collect()
    }

    /// Whether the element is there, with values or without.
    pub fn has(&self, tag: &str) -> bool {
        self.0.contains_key(tag) || self.0.contains_key(&tag.to_ascii_lowercase())
    }
}

fn clean(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_are_read_and_what_is_none_is_absent() {
        let json = serde_json::json!({
            "00100020": { "vr": "LO", "Value": [" 12 "] },
            "0020000d": { "vr": "UI", "Value": ["1.2\u{0}"] },
            "00201208": { "vr": "IS", "Value": ["20"] },
            "00201206": { "vr": "IS", "Value": [3.0] },
            "00201209": 7,
            "00200011": { "vr": "IS", "Value": [-1] },
            "00080061": { "vr": "CS", "Value": ["CT\\RTSTRUCT", null, "MR"] },
            "00081030": { "vr": "LO" },
            "00080050": { "Value": "A1" },
            "0008103E": { "vr": "LO", "Value": [{}] },
            "00080020": null,
            "00081199": { "vr": "SQ", "Value": [{ "00081155": { "Value": ["1.2"] } }, 5] },
        });
        let set = Attributes::of(&json).unwrap();
        assert_eq!([set.text("00100020"), set.text("0020000D"), set.text("00080050")], ["12", "1.2", "A1"]);
        assert_eq!(["00201208", "00201206", "00201209"].map(|tag| set.count(tag)), [Some(20), Some(3), Some(7)]);
        assert_eq!((set.integer("00200011"), set.count("00200011")), (Some(-1), None));
        assert_eq!(set.texts("00080061"), ["CT", "RTSTRUCT", "MR"]);
        assert!(["00081030", "0008103E", "00080020", "00080060"].iter().all(|tag| set.text(tag).is_empty()));
        assert_eq!(set.items("00081199").len(), 1);
        assert!(set.has("0020000D") && set.has("00081030") && !set.has("00080060"));
        assert!(Attributes::of(&serde_json::json!([])).is_none());
    }

    #[test]
    fn names_have_their_groups_or_are_plain_text() {
        let name = |value: Value| {
            let json = serde_json::json!({ "00100010": { "vr": "PN", "Value": [value] } });
            Attributes::of(&json).unwrap().person("00100010")
        };
        let groups = serde_json::json!({ "Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう" });
        assert_eq!(name(groups), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        assert_eq!(name(serde_json::json!({ "Ideographic": "山田^太郎" })), "=山田^太郎=");
        assert_eq!(name(serde_json::json!("Doe^Jane")), "Doe^Jane");
        assert_eq!(name(serde_json::json!(5)), "");
    }
}

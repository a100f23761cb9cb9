//! Values of elements as text, integers and numbers; absent or unreadable ones are empty or `None`, never an error: what
//! must be there is decided by whoever asks.

use dicom_core::value::Value;
use dicom_core::{DataDictionary, Tag};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::characters;

/// The items of a sequence; none when absent.
pub(in crate::formats) fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.items()).unwrap_or_default()
}

/// A text value without its padding, empty when absent.
pub(in crate::formats) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let trim = |s: &str| s.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned();
    let parsed = object.get(tag).and_then(|e| e.to_str().ok()).map(|s| trim(&s)).unwrap_or_default();
    characters::meant(object, parsed)
}

/// All values of a text element, without their padding.
pub(in crate::formats) fn texts(object: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let all = object.get(tag).and_then(|e| e.to_multi_str().ok().map(|v| v.into_owned())).unwrap_or_default();
    all.iter().map(|s| s.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()).collect()
}

/// The first integer of an element.
pub(in crate::formats) fn integer(object: &InMemDicomObject, tag: Tag) -> Option<i64> {
    object.get(tag).and_then(|e| e.to_int::<i64>().ok())
}

/// Exactly N finite numbers.
pub(in crate::formats) fn numbers<const N: usize>(object: &InMemDicomObject, tag: Tag) -> Option<[f64; N]> {
    let values: [f64; N] = object.get(tag)?.to_multi_float64().ok()?.try_into().ok()?;
    values.iter().all(|v| v.is_finite()).then_some(values)
}

/// Whether an element is there with something in it.
pub(super) fn present(object: &InMemDicomObject, tag: Tag) -> bool {
    fn filled<D: DataDictionary + Clone>(element: &InMemElement<D>) -> bool {
        match element.value() {
            Value::Sequence(items) => !items.items().is_empty(),
            Value::Primitive(value) => !matches!(value, dicom_core::PrimitiveValue::Empty),
            Value::PixelSequence(_) => true,
        }
    }
    object.get(tag).is_some_and(filled)
}

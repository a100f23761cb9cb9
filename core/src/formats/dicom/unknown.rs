//! Known attributes that were written with the unknown VR (UN), as archives do that did not know them, or knew them and lost their
//! dictionary on the way (PS3.5 6.2.2 and the note on its value: implicit little endian). pydicom reads them, so does this.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, uids};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};

use super::walk::{MAX_DEPTH, contain, is_sound_sequence};

/// The VR that the dictionary has for a tag.
pub(super) fn known(tag: Tag) -> Option<VR> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed()).filter(|&vr| vr != VR::UN)
}

/// Whether the dictionary has the tag.
pub(super) fn is_known(tag: Tag) -> bool {
    known(tag).is_some()
}

/// Whether the tag is that of a sequence.
pub(super) fn is_sequence(tag: Tag) -> bool {
    known(tag) == Some(VR::SQ)
}

/// Appends an element in implicit little endian.
pub(super) fn write_implicit(out: &mut Vec<u8>, Tag(group, element): Tag, length: u32, value: &[u8]) {
    out.extend(group.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(value);
}

/// The object with the elements of `implicit`, and with every known element that was written as UN, at any depth, in its own VR.
/// `None` if one of them cannot be parsed.
pub(super) fn resolve(object: InMemDicomObject, implicit: &[u8]) -> Option<InMemDicomObject> {
    let mut object = if has_unknown(&object, 0) { resolved(object, 0) } else { object };
    if !implicit.is_empty() {
        for element in parse(implicit)? {
            object.put(element);
        }
    }
    Some(object)
}

fn has_unknown(object: &InMemDicomObject, depth: usize) -> bool {
    depth < MAX_DEPTH
        && object.iter().any(|element| match element.value() {
            Value::Sequence(items) => items.items().iter().any(|item| has_unknown(item, depth + 1)),
            _ => element.vr() == VR::UN && is_known(element.header().tag),
        })
}

fn resolved(object: InMemDicomObject, depth: usize) -> InMemDicomObject {
    let elements = object.into_iter().map(|element| {
        let (tag, vr) = (element.header().tag, element.vr());
        match element.value() {
            Value::Sequence(_) if depth < MAX_DEPTH => {
                let items = element.into_value().into_items().unwrap_or_default();
                let items: Vec<_> = items.into_iter().map(|item| resolved(item, depth + 1)).collect();
                DataElement::new(tag, vr, Value::Sequence(DataSetSequence::new(items, Length::UNDEFINED)))
            }
            Value::Primitive(value) if vr == VR::UN && is_known(tag) => {
                let mut bytes = Vec::new();
                let value = value.to_bytes();
                write_implicit(&mut bytes, tag, u32::try_from(value.len()).unwrap_or(0), &value);
                if is_sequence(tag) && !is_sound_sequence(&bytes) {
                    return element;
                }
                parse(&bytes).and_then(|parsed| parsed.into_iter().next()).unwrap_or(element)
            }
            _ => element,
        }
    });
    InMemDicomObject::from_element_iter(elements.collect::<Vec<_>>())
}

/// Elements in implicit little endian.
fn parse(bytes: &[u8]) -> Option<Vec<InMemElement>> {
    let syntax = TransferSyntaxRegistry.get(uids::IMPLICIT_VR_LITTLE_ENDIAN)?;
    let object = contain(|| InMemDicomObject::read_dataset_with_ts(bytes, syntax).ok()).flatten()?;
    Some(object.into_iter().collect())
}

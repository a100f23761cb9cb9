//! The elements of a data set, and of the items of its sequences, as views of the bytes: for what is too much to be parsed into
//! objects, as the contours of a structure set are. Every length is checked against the bytes that are there.

use dicom_core::{Tag, VR};

use super::dataset::DataSet;
use super::walk::{self, Encoding, Unreadable};

/// An element with its value as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) struct Field<'a> {
    /// Group and element.
    pub tag: Tag,
    value: &'a [u8],
    encoding: Encoding,
}

impl<'a> Field<'a> {
    /// The value as text, without padding.
    pub fn text(&self) -> &'a str {
        let text = std::str::from_utf8(self.value).unwrap_or_default();
        text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
    }

    /// The first of its values as an integer (IS).
    pub fn integer(&self) -> Option<i64> {
        self.text().split('\\').next()?.trim().parse().ok()
    }

    /// The items of a sequence.
    ///
    /// # Errors
    /// [`Unreadable`]: a length that goes beyond the bytes.
    pub fn items(&self) -> Result<Vec<Item<'a>>, Unreadable> {
        let items = walk::items(self.value, self.encoding)?;
        Ok(items.into_iter().map(|bytes| Item { bytes, encoding: self.encoding }).collect())
    }
}

/// An item of a sequence.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) struct Item<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
}

impl<'a> Item<'a> {
    /// Its elements.
    ///
    /// # Errors
    /// [`Unreadable`]: a length that goes beyond the bytes.
    pub fn fields(&self) -> Result<Vec<Field<'a>>, Unreadable> {
        let mut fields = Vec::new();
        walk::each(self.bytes, self.encoding, &mut |tag, vr, value| {
            fields.push(Field { tag, value, encoding: within(vr, self.encoding) });
        })?;
        Ok(fields)
    }
}

/// An element of a data set.
pub(in crate::formats) fn field<'a>(set: &'a DataSet, wanted: Tag) -> Result<Option<Field<'a>>, Unreadable> {
    let mut found = None;
    walk::each(&set.bytes, set.encoding, &mut |tag, vr, value| {
        if tag == wanted {
            found = Some(Field { tag, value, encoding: within(vr, set.encoding) });
        }
    })?;
    Ok(found)
}

/// What the items of a sequence are written in: a sequence of unknown representation is implicit little endian (PS3.5 6.2.2, note 4).
fn within(vr: VR, outer: Encoding) -> Encoding {
    if vr == VR::UN { walk::IMPLICIT_LE } else { outer }
}

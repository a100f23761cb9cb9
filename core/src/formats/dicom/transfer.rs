//! Objects on their way between files and the network: a file is a preamble, a meta group and a data set (PS3.10 chapter 7); a node sends
//! the data set alone and says in the message what stands in the meta group (PS3.7).

use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;

use super::dataset::DataSet;
use super::derived::{ExportError, IMPLEMENTATION_NAME, IMPLEMENTATION_UID};
use super::element::{integer, text};
use super::error::DicomError;

/// The most characters of a UID (PS3.5 9.1).
const LONGEST_UID: usize = 64;

/// A data set with what says how to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer<'a> {
    /// SOPClassUID (0008,0016).
    pub class: String,
    /// SOPInstanceUID (0008,0018).
    pub instance: String,
    /// Transfer syntax UID.
    pub syntax: String,
    /// The elements, as they are encoded.
    pub data_set: &'a [u8],
}

/// Whether text is a UID: digits and points, and so no path either.
pub fn is_uid(text: &str) -> bool {
    let is_component = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    !text.is_empty() && text.len() <= LONGEST_UID && text.split('.').all(is_component)
}

impl<'a> Transfer<'a> {
    /// What is sent of a file.
    ///
    /// # Errors
    /// [`DicomError::Damaged`]: no DICOM file, or one that does not say what it is.
    pub fn of_file(name: &str, bytes: &'a [u8]) -> Result<Self, DicomError> {
        let damaged = |reason: &str| DicomError::Damaged { file: name.to_owned(), reason: reason.into() };
        let set = DataSet::open(bytes).map_err(|_| damaged("it is no DICOM file"))?;
        let wanted = [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID];
        let (object, _) = set.read(&wanted).map_err(|_| damaged("its header cannot be read"))?;
        let (class, instance) = (text(&object, tags::SOP_CLASS_UID), text(&object, tags::SOP_INSTANCE_UID));
        if !is_uid(&class) || !is_uid(&instance) {
            return Err(damaged("it does not say what it is"));
        }
        let (start, syntax) = (set.start, set.syntax.clone());
        Ok(Self { class, instance, syntax, data_set: bytes.get(start..).unwrap_or_default() })
    }

    /// The file of what was received.
    ///
    /// # Errors
    /// [`ExportError::Encode`]
    pub fn to_file(&self) -> Result<Vec<u8>, ExportError> {
        let encode = |e: &dyn std::error::Error| ExportError::Encode(e.to_string());
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(&self.syntax)
            .media_storage_sop_class_uid(&self.class)
            .media_storage_sop_instance_uid(&self.instance)
            .implementation_class_uid(IMPLEMENTATION_UID)
            .implementation_version_name(IMPLEMENTATION_NAME)
            .build()
            .map_err(|e| encode(&e))?;
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        meta.write(&mut file).map_err(|e| encode(&e))?;
        file.extend(self.data_set);
        Ok(file)
    }
}

/// The SeriesInstanceUID of a file that holds slices, if it is one; nothing else of it is read.
pub fn series_of(bytes: &[u8]) -> Option<String> {
    let set = DataSet::open(bytes).ok()?;
    let (object, _) = set.read(&[tags::SERIES_INSTANCE_UID, tags::ROWS, tags::SOP_CLASS_UID]).ok()?;
    integer(&object, tags::ROWS)?;
    let uid = text(&object, tags::SERIES_INSTANCE_UID);
    is_uid(&uid).then_some(uid)
}

/// Classes of CT images, which a node that outlines CT takes.
pub const CT_CLASSES: [&str; 2] = [uids::CT_IMAGE_STORAGE, uids::ENHANCED_CT_IMAGE_STORAGE];

/// Transfer syntaxes in which images are read, the simplest first.
pub const READ_SYNTAXES: [&str; 13] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::RLE_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::JPEG_BASELINE8_BIT,
    uids::JPEG_EXTENDED12_BIT,
    uids::JPEG_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    "1.2.840.10008.1.2.2",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::archive::unzip;

    #[test]
    fn a_file_survives_the_network_and_only_uids_are_uids() {
        let path = format!("{}/../tests/data/dicom-transfer-syntaxes.zip", env!("CARGO_MANIFEST_DIR"));
        let files = unzip(&std::fs::read(path).unwrap(), 64 << 20).unwrap();
        assert!(files.len() > 10);
        for (name, bytes) in files {
            let sent = Transfer::of_file(&name, &bytes).unwrap();
            let file = sent.to_file().unwrap();
            assert_eq!(Transfer::of_file(&name, &file).unwrap(), sent, "{name}");
            assert_eq!(series_of(&file), series_of(&bytes), "{name}");
            assert!(series_of(&file).is_some_and(|uid| uid.starts_with("1.")), "{name}");
            if name.contains("4.55") || name.contains("4.53") {
                continue;
            }
            assert!(READ_SYNTAXES.contains(&sent.syntax.as_str()), "{name}: {}", sent.syntax);
        }
        for (text, expected) in
            [("1.2.840", true), ("", false), ("1..2", false), ("../1", false), ("1.2.a", false), ("1.", false)]
        {
            assert_eq!(is_uid(text), expected, "{text}");
        }
        assert!(!is_uid(&"1".repeat(65)));
        assert!(Transfer::of_file("x", b"no DICOM").is_err());
    }
}

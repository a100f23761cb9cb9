//! Commands and events as something that a browser can post: a text, and beside it the large data as buffers, which are
//! transferred and never become text.
//!
//! The protocol's own `serde` attributes say which fields travel beside the text (`#[serde(with = "codec::bytes")]`), so
//! that a message added to the protocol is on the wire at once. While a message is written or read, its buffers lie in
//! a place of the thread's own; the text holds their numbers.

pub mod extras;

use std::cell::RefCell;
use std::sync::Arc;

use attention_anatomy::volume::CtVolume;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

thread_local! {
    static OUT: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
    static IN: RefCell<Vec<Option<Received>>> = const { RefCell::new(Vec::new()) };
}

/// Large data on the way out; shared with whoever has it, where it is shared anyway.
#[derive(Clone, Debug)]
pub enum Buffer {
    /// A copy.
    Own(Vec<u8>),
    /// Shared bytes.
    Shared(Arc<[u8]>),
    /// The voxels of a CT.
    Ct(Arc<CtVolume>),
}

/// Large data that has come.
#[derive(Clone, Debug)]
pub enum Received {
    /// Labels or the contents of a file.
    Bytes(Vec<u8>),
    /// Voxels of a CT.
    Voxels(Vec<i16>),
}

impl Buffer {
    /// The voxels of a CT: they are posted as 16-bit numbers, in pieces, so that each side copies them once and no third copy lies between.
    pub fn voxels(&self) -> Option<&[i16]> {
        match self {
            Self::Ct(ct) => Some(&ct.voxels),
            _ => None,
        }
    }

    /// What is posted.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Ct(ct) => bytemuck::cast_slice(&ct.voxels),
        }
    }
}

/// A message on the wire.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The message as JSON, large data left out.
    pub text: String,
    /// What the text refers to, in its order.
    pub buffers: Vec<Buffer>,
}

/// A message that cannot be written or read: a mistake of this program, not of the user's.
#[derive(Debug, thiserror::Error)]
#[error("a message between the page and its worker cannot be read ({0}); reload the page")]
pub struct CodecError(#[from] serde_json::Error);

/// A command or an event as it is posted.
///
/// # Errors
/// [`CodecError`]
pub fn encode(message: &impl Serialize) -> Result<Encoded, CodecError> {
    OUT.take();
    let text = serde_json::to_string(message)?;
    Ok(Encoded { text, buffers: OUT.take() })
}

/// What was posted as a command or an event.
///
/// # Errors
/// [`CodecError`]
pub fn decode<T: DeserializeOwned>(text: &str, buffers: Vec<Received>) -> Result<T, CodecError> {
    IN.replace(buffers.into_iter().map(Some).collect());
    let message = serde_json::from_str(text);
    IN.take();
    Ok(message?)
}

fn put(buffer: Buffer) -> usize {
    OUT.with_borrow_mut(|out| {
        out.push(buffer);
        out.len() - 1
    })
}

fn taken<'de, D: Deserializer<'de>>(number: usize) -> Result<Received, D::Error> {
    IN.with_borrow_mut(|buffers| buffers.get_mut(number).and_then(Option::take))
        .ok_or_else(|| D::Error::custom(format!("buffer {number} is missing")))
}

fn taken_bytes<'de, D: Deserializer<'de>>(number: usize) -> Result<Vec<u8>, D::Error> {
    match taken::<D>(number)? {
        Received::Bytes(bytes) => Ok(bytes),
        Received::Voxels(_) => Err(D::Error::custom(format!("buffer {number} holds voxels"))),
    }
}

/// Bytes beside the text.
pub mod bytes {
    use super::*;

    /// What bytes are kept in.
    pub trait Bytes: From<Vec<u8>> {
        /// To be posted.
        fn buffer(&self) -> Buffer;
    }

    impl Bytes for Vec<u8> {
        fn buffer(&self) -> Buffer {
            Buffer::Own(self.clone())
        }
    }

    impl Bytes for Arc<[u8]> {
        fn buffer(&self) -> Buffer {
            Buffer::Shared(self.clone())
        }
    }

    /// Puts the bytes beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<B: Bytes, S: Serializer>(bytes: &B, serializer: S) -> Result<S::Ok, S::Error> {
        put(bytes.buffer()).serialize(serializer)
    }

    /// Takes them from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, B: Bytes, D: Deserializer<'de>>(deserializer: D) -> Result<B, D::Error> {
        Ok(taken_bytes::<D>(usize::deserialize(deserializer)?)?.into())
    }
}

/// Slices of bytes, each beside the text, packed as it is; equal neighbours that are shared travel once.
pub mod slices {
    use super::*;
    use crate::edit::{ByteSlices, PackedSlice};

    pub(super) fn put_all<'a>(slices: impl Iterator<Item = &'a Arc<PackedSlice>>) -> Vec<usize> {
        let mut last: Option<(&Arc<PackedSlice>, usize)> = None;
        let number = |slice: &'a Arc<PackedSlice>| match last {
            Some((same, number)) if Arc::ptr_eq(same, slice) => number,
            _ => last.insert((slice, put(Buffer::Own(slice.to_wire())))).1,
        };
        slices.map(number).collect()
    }

    pub(super) fn take_all<'de, D: Deserializer<'de>>(numbers: &[usize]) -> Result<Vec<Arc<PackedSlice>>, D::Error> {
        let mut slices: Vec<Arc<PackedSlice>> = Vec::with_capacity(numbers.len());
        for (n, &number) in numbers.iter().enumerate() {
            let same =
                n.checked_sub(1).filter(|&before| numbers[before] == number).map(|before| slices[before].clone());
            slices.push(match same {
                Some(slice) => slice,
                None => Arc::new(slice::taken_slice::<D>(number)?),
            });
        }
        Ok(slices)
    }

    /// Puts the slices beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(slices: &ByteSlices, serializer: S) -> Result<S::Ok, S::Error> {
        put_all(slices.slices().iter()).serialize(serializer)
    }

    /// Takes them from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSlices, D::Error> {
        Ok(ByteSlices::new(take_all::<D>(&Vec::deserialize(deserializer)?)?))
    }
}

/// A slice of bytes beside the text, packed as it is.
pub mod slice {
    use super::*;
    use crate::edit::PackedSlice;

    /// Puts the slice beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(slice: &PackedSlice, serializer: S) -> Result<S::Ok, S::Error> {
        put(Buffer::Own(slice.to_wire())).serialize(serializer)
    }

    /// Takes it from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PackedSlice, D::Error> {
        taken_slice::<D>(usize::deserialize(deserializer)?)
    }

    pub(super) fn taken_slice<'de, D: Deserializer<'de>>(number: usize) -> Result<PackedSlice, D::Error> {
        PackedSlice::from_wire(&taken_bytes::<D>(number)?)
            .ok_or_else(|| D::Error::custom(format!("buffer {number} is no slice")))
    }
}

/// As [`slices`], or none.
pub mod maybe_slices {
    use super::*;
    use crate::edit::ByteSlices;

    /// Puts the slices beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(slices: &Option<ByteSlices>, serializer: S) -> Result<S::Ok, S::Error> {
        slices.as_ref().map(|slices| slices::put_all(slices.slices().iter())).serialize(serializer)
    }

    /// Takes them from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSlices>, D::Error> {
        let numbers: Option<Vec<usize>> = Option::deserialize(deserializer)?;
        numbers.map(|numbers| Ok(ByteSlices::new(slices::take_all::<D>(&numbers)?))).transpose()
    }
}

/// Labels at a moment.
pub mod snapshot {
    use super::*;
    use crate::edit::{ByteSlices, Extra, LabelSnapshot};

    /// Buffers of the labels; for each slice with edits its number and the buffer of what lies beneath; other structures.
    type Numbers<E> = (Vec<usize>, Vec<(usize, usize)>, Vec<(E, usize)>);

    /// Puts the slices beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(snapshot: &LabelSnapshot, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = slices::put_all(snapshot.labels.slices().iter());
        let under = snapshot.under.iter().enumerate();
        let under = under.filter_map(|(k, under)| Some((k, put(Buffer::Shared(under.clone()?))))).collect();
        let numbers: Numbers<&Extra> = (labels, under, extras::put_all(snapshot.extras.iter().map(|extra| &**extra)));
        numbers.serialize(serializer)
    }

    /// Takes them from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LabelSnapshot, D::Error> {
        let (labels, edited, extras) = Numbers::<Extra>::deserialize(deserializer)?;
        let mut under = vec![None; labels.len()];
        for (k, number) in edited {
            let place = under.get_mut(k).ok_or_else(|| D::Error::custom(format!("there is no slice {k}")))?;
            *place = Some(Arc::from(taken_bytes::<D>(number)?));
        }
        let extras = extras::take_all::<D>(extras)?.into_iter().map(Arc::new).collect();
        Ok(LabelSnapshot { labels: ByteSlices::new(slices::take_all::<D>(&labels)?), under, extras })
    }
}

/// Changes of labels, 14 bytes each.
pub mod changes {
    use super::*;
    use crate::edit::Change;

    const BYTES: usize = 14;

    /// Puts them beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(changes: &[Change], serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(BYTES * changes.len());
        for Change { slice, start, len, before, after } in changes {
            [slice, start, len].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes.extend([before, after]);
        }
        put(Buffer::Own(bytes)).serialize(serializer)
    }

    /// Takes them from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Change>, D::Error> {
        let bytes = taken_bytes::<D>(usize::deserialize(deserializer)?)?;
        let (changes, rest) = bytes.as_chunks::<BYTES>();
        if !rest.is_empty() {
            return Err(D::Error::custom("the changes are cut off"));
        }
        let change = |c: &[u8; BYTES]| {
            let number = |at: usize| u32::from_le_bytes([c[at], c[at + 1], c[at + 2], c[at + 3]]);
            Change { slice: number(0), start: number(4), len: number(8), before: c[12], after: c[13] }
        };
        Ok(changes.iter().map(change).collect())
    }
}

/// A CT: its voxels beside the text, the rest in it.
pub mod ct {
    use attention_anatomy::volume::{AxisMap, Geometry, Modality};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Head {
        geometry: Geometry,
        stored: Geometry,
        axes: AxisMap,
        modality: Modality,
        warnings: Vec<String>,
        voxels: usize,
    }

    /// Puts the voxels beside the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(ct: &Arc<CtVolume>, serializer: S) -> Result<S::Ok, S::Error> {
        Head {
            geometry: ct.geometry.clone(),
            stored: ct.stored.clone(),
            axes: ct.axes,
            modality: ct.modality.clone(),
            warnings: ct.warnings.clone(),
            voxels: put(Buffer::Ct(ct.clone())),
        }
        .serialize(serializer)
    }

    /// Takes them from there.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<CtVolume>, D::Error> {
        let Head { geometry, stored, axes, modality, warnings, voxels } = Head::deserialize(deserializer)?;
        let Received::Voxels(voxels) = taken::<D>(voxels)? else {
            return Err(D::Error::custom("the voxels are no 16-bit numbers"));
        };
        if voxels.len() != geometry.voxel_count() {
            return Err(D::Error::custom("the voxels do not fit the grid"));
        }
        Ok(Arc::new(CtVolume { geometry, voxels, stored, axes, modality, warnings }))
    }
}

/// One number for each organ: `serde` knows arrays of up to 32.
pub mod organs {
    use attention_anatomy::anatomy::ORGAN_COUNT;

    use super::*;

    /// An array by organ, or none.
    pub trait ByOrgan: Sized {
        /// Its numbers.
        type Number: Serialize + DeserializeOwned;
        /// As a list.
        fn list(&self) -> Option<&[Self::Number]>;
        /// From a list; `None` where it is not one number for each organ.
        fn from_list(list: Option<Vec<Self::Number>>) -> Option<Self>;
    }

    impl ByOrgan for [f32; ORGAN_COUNT] {
        type Number = f32;

        fn list(&self) -> Option<&[f32]> {
            Some(self)
        }

        fn from_list(list: Option<Vec<f32>>) -> Option<Self> {
            list?.try_into().ok()
        }
    }

    impl<T: Serialize + DeserializeOwned> ByOrgan for Option<[T; ORGAN_COUNT]> {
        type Number = T;

        fn list(&self) -> Option<&[T]> {
            self.as_ref().map(|a| a.as_slice())
        }

        fn from_list(list: Option<Vec<T>>) -> Option<Self> {
            match list {
                None => Some(None),
                Some(list) => list.try_into().ok().map(Some),
            }
        }
    }

    /// Writes a list.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<A: ByOrgan, S: Serializer>(array: &A, serializer: S) -> Result<S::Ok, S::Error> {
        array.list().serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, A: ByOrgan, D: Deserializer<'de>>(deserializer: D) -> Result<A, D::Error> {
        A::from_list(Option::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("not one number for each organ"))
    }
}

/// What the network says of a slice.
pub mod anatomy {
    use attention_anatomy::anatomy::{ORGAN_COUNT, REGION_COUNT};
    use attention_anatomy::infer::SliceAnatomy;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Fields {
        slice: usize,
        position_mm: f64,
        regions: [f32; REGION_COUNT],
        #[serde(with = "organs")]
        attention: Option<[f32; ORGAN_COUNT]>,
    }

    /// Writes its fields.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(anatomy: &SliceAnatomy, serializer: S) -> Result<S::Ok, S::Error> {
        let SliceAnatomy { slice, position_mm, regions, attention } = *anatomy;
        Fields { slice, position_mm, regions, attention }.serialize(serializer)
    }

    /// Reads them.
    ///
    /// # Errors
    /// What is missing, or not what it should be.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SliceAnatomy, D::Error> {
        let Fields { slice, position_mm, regions, attention } = Fields::deserialize(deserializer)?;
        Ok(SliceAnatomy { slice, position_mm, regions, attention })
    }
}

#[cfg(target_family = "wasm")]
pub(super) use super::wasm::file;

#[cfg(test)]
mod tests;

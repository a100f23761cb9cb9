//! Numbers as bytes in a message, rather than one after the other.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Of little-endian bytes, as long as somebody else reads them on the same machine: a helper never lives elsewhere.
struct Bytes;

impl serde::de::Visitor<'_> for Bytes {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("numbers of four bytes each")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<f32>, E> {
        if !bytes.len().is_multiple_of(size_of::<f32>()) {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        Ok(bytemuck::pod_collect_to_vec(bytes))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<f32>, E> {
        self.visit_bytes(&bytes)
    }
}

/// A list or an array.
pub fn serialize<S: Serializer>(values: &impl AsRef<[f32]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytemuck::cast_slice(values.as_ref()))
}

/// A list, or an array of the right length.
pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<f32>>>(deserializer: D) -> Result<T, D::Error> {
    let values = deserializer.deserialize_byte_buf(Bytes)?;
    let count = values.len();
    T::try_from(values).map_err(|_| D::Error::custom(format!("{count} numbers are not as many as there should be")))
}

/// The same where there may be none.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer};

    struct Given<T>(T);

    impl<'de, T: TryFrom<Vec<f32>>> Deserialize<'de> for Given<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            super::deserialize(deserializer).map(Self)
        }
    }

    impl<T: AsRef<[f32]>> serde::Serialize for Given<&T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::serialize(self.0, serializer)
        }
    }

    /// A list or an array, if there is one.
    pub fn serialize<S: Serializer>(values: &Option<impl AsRef<[f32]>>, serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&values.as_ref().map(Given), serializer)
    }

    /// A list, or an array of the right length, if there is one.
    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<f32>>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Given<T>>::deserialize(deserializer)?.map(|given| given.0))
    }
}

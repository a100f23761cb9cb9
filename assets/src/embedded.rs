//! The bytes that are part of the program.

/// The bundled weights (SafeTensors, f16); models/README.md is their model card.
pub const WEIGHTS: &[u8] = include_bytes!("../../models/light.safetensors");
/// A neck and chest CT (gzipped NIfTI); models/sample/README.md says where it is from.
pub const SAMPLE: &[u8] = include_bytes!("../../models/sample/neck-chest.nii.gz");

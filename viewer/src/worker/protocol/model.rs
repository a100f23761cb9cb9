//! What computes, and with which weights.

use attention_anatomy::infer::{ComputeKind, WeightsUsed};
use attention_anatomy::network::weights::ModelInfo;
use serde::{Deserialize, Serialize};

/// A device that is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// For people.
    pub name: String,
    /// GPU or CPU.
    pub kind: ComputeKind,
    /// Why it is not the one that one would expect.
    pub notes: Vec<String>,
}

/// Weights that are in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightsInfo {
    /// Name for people.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// What the file says of itself.
    pub info: ModelInfo,
}

impl From<WeightsInfo> for WeightsUsed {
    fn from(WeightsInfo { name, sha256, info }: WeightsInfo) -> Self {
        Self { name, sha256, info }
    }
}

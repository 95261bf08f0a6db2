//! The stored form of trained models: four letters, a version, and the fields in the postcard format.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are no model that this build can use. A new one has to be trained then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAModel {
    /// Written by another version.
    #[error("the model is of version {found}, and this build reads version {expected}")]
    Version {
        /// The version found.
        found: u16,
        /// The version that this build reads.
        expected: u16,
    },
    /// Something else, cut off or garbled.
    #[error("these {bytes} bytes are not a trained model")]
    Garbled {
        /// Number of bytes.
        bytes: usize,
    },
}

/// A model in bytes.
pub(crate) fn encode<M: Serialize>(magic: [u8; 4], version: u16, model: &M) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(version.to_le_bytes());
    // Encoding cannot fail for the types of models. If it did, the empty bytes would be refused when they are read.
    bytes.extend(postcard::to_allocvec(model).unwrap_or_default());
    bytes
}

/// A model from its bytes.
pub(crate) fn decode<M: DeserializeOwned>(
    magic: [u8; 4],
    expected: u16,
    bytes: &[u8],
) -> Result<M, NotAModel> {
    let garbled = NotAModel::Garbled { bytes: bytes.len() };
    let Some(rest) = bytes.strip_prefix(&magic) else { return Err(garbled) };
    let Some((version, rest)) = rest.split_first_chunk::<2>() else { return Err(garbled) };
    let found = u16::from_le_bytes(*version);
    if found != expected {
        return Err(NotAModel::Version { found, expected });
    }
    postcard::from_bytes(rest).map_err(|_| garbled)
}

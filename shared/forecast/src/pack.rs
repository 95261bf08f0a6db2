//! Trained models as they are stored: four letters, a version, and the fields in a compact form.

use serde::{Serialize, de::DeserializeOwned};

use super::trained::Trained;

/// What every stored model starts with.
const MAGIC: [u8; 4] = *b"HRFM";
/// The version that this build writes and reads. It changes with anything in a model that is stored.
pub const MODEL_VERSION: u16 = 1;

/// Bytes that are not a model that this build can use. The answer to all of them is to train a new one.
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
    /// Something else, or cut off or garbled.
    #[error("these {bytes} bytes are not a trained model")]
    Garbled {
        /// Number of bytes.
        bytes: usize,
    },
}

/// A model in bytes.
pub(super) fn packed<M: Serialize>(magic: [u8; 4], version: u16, model: &M) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(version.to_le_bytes());
    // Numbers, lists and options always have a form; bytes without one would be refused when they are read.
    bytes.extend(postcard::to_allocvec(model).unwrap_or_default());
    bytes
}

/// A model from its bytes.
pub(super) fn unpacked<M: DeserializeOwned>(
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

impl Trained {
    /// The model in bytes: some 20 KB.
    pub fn pack(&self) -> Vec<u8> {
        packed(MAGIC, MODEL_VERSION, self)
    }

    /// The model from its bytes.
    ///
    /// # Errors
    /// For another version, and for bytes that are no model.
    pub fn unpack(bytes: &[u8]) -> Result<Trained, NotAModel> {
        let trained: Trained = unpacked(MAGIC, MODEL_VERSION, bytes)?;
        if trained.is_whole() { Ok(trained) } else { Err(NotAModel::Garbled { bytes: bytes.len() }) }
    }
}

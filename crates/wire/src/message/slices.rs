//! Payload that is passed through in the slices it comes in.

use bytes::Bytes;

/// A byte string in slices, written back to back. Read from a message, it is one slice.
#[derive(Clone, Debug, Default)]
pub struct Slices(pub Vec<Bytes>);

impl Slices {
    /// Bytes in all slices together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All slices as one: free if there is only one, else a copy.
    #[must_use]
    pub fn joined(&self) -> Bytes {
        match self.0.as_slice() {
            [only] => only.clone(),
            many => Bytes::from(many.concat()),
        }
    }
}

/// By content: where it is cut does not matter.
impl PartialEq for Slices {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.0.iter().flatten().eq(other.0.iter().flatten())
    }
}

impl Eq for Slices {}

impl From<Bytes> for Slices {
    fn from(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }
}

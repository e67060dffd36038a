//! Kafka's primitive types, read from bytes nobody vouches for.
//!
//! The one law: nothing is reserved, and no loop is entered, on the word of the other side. A count is believed only
//! as far as the bytes that remain could hold that many elements, so decoding costs memory in proportion to the
//! message that was really received.

use std::fmt;

use bytes::Bytes;

/// How a message writes its lengths: as fixed-width integers, or as varints with tagged fields behind each struct.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// Strings have a 2-byte and arrays and byte strings a 4-byte length; `-1` is null.
    Classic,
    /// KIP-482: lengths are unsigned varints of length + 1, `0` is null, and every struct ends with tagged fields.
    Flexible,
}

/// Why bytes are not the message they were said to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodeError {
    /// The field that could not be read, as `Struct.field`; empty outside of any.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
    /// Where, in bytes from the start of what was decoded.
    pub at: usize,
}

impl DecodeError {
    /// Names the field unless an inner one has been named already.
    pub(crate) fn in_field(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for DecodeError {}

/// Reads primitives off the front of a byte slice; every read is checked and none panics.
///
/// After an error the position is unspecified: give the message up.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    source: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; byte strings are copied out of them.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, source: None }
    }

    /// Reads `bytes`; byte strings are slices that share them, so they keep the whole message alive.
    #[must_use]
    pub fn shared(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0, source: Some(bytes) }
    }

    /// How far reading has come, in bytes.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// How many bytes have not been read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the current position.
    #[must_use]
    pub fn error(&self, what: &'static str) -> DecodeError {
        DecodeError { field: "", what, at: self.at }
    }

    /// Confirms that the message was read to its end.
    ///
    /// # Errors
    ///
    /// When bytes are left: then the two sides do not agree on the schema, and what was read may be wrong as well.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error("bytes left over behind the message")) }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    ///
    /// When fewer remain.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest().get(..len).ok_or_else(|| self.error("runs past the end of the message"))?;
        self.at += len;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// When fewer remain.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, _) =
            self.rest().split_first_chunk::<N>().ok_or_else(|| self.error("runs past the end of the message"))?;
        self.at += N;
        Ok(*taken)
    }

    /// A one-byte integer.
    ///
    /// # Errors
    ///
    /// When no byte remains.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    /// A two-byte integer.
    ///
    /// # Errors
    ///
    /// When fewer bytes remain.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A four-byte integer.
    ///
    /// # Errors
    ///
    /// When fewer bytes remain.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// An eight-byte integer.
    ///
    /// # Errors
    ///
    /// When fewer bytes remain.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A boolean: any byte but zero is true, as Kafka itself reads them.
    ///
    /// # Errors
    ///
    /// When no byte remains.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.i8().map(|byte| byte != 0)
    }

    /// An unsigned varint of at most 32 bits.
    ///
    /// # Errors
    ///
    /// When it does not end, or has more than 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let start = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let low = u32::from(byte & 0x7f);
            if shift == 28 && low > 0x0f {
                break;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError { field: "", what: "varint longer than 32 bits", at: start })
    }

    /// A length or count: `None` for null.
    fn length(
        &mut self,
        classic: fn(&mut Self) -> Result<i32, DecodeError>,
        layout: Layout,
    ) -> Result<Option<usize>, DecodeError> {
        let at = self.at;
        let negative = DecodeError { field: "", what: "negative length", at };
        match layout {
            Layout::Flexible => Ok((self.uvarint()? as usize).checked_sub(1)),
            Layout::Classic => match classic(self)? {
                -1 => Ok(None),
                length => usize::try_from(length).map(Some).map_err(|_| negative),
            },
        }
    }

    /// A string, or null.
    ///
    /// # Errors
    ///
    /// When it is longer than the message, of negative length, or not UTF-8.
    pub fn nullable_str(&mut self, layout: Layout) -> Result<Option<&'a str>, DecodeError> {
        let Some(length) = self.length(|r| r.i16().map(i32::from), layout)? else {
            return Ok(None);
        };
        let at = self.at;
        let text = std::str::from_utf8(self.take(length)?);
        text.map(Some).map_err(|_| DecodeError { field: "", what: "string that is not UTF-8", at })
    }

    /// A string.
    ///
    /// # Errors
    ///
    /// As [`nullable_str`](Self::nullable_str), and when it is null.
    pub fn str(&mut self, layout: Layout) -> Result<&'a str, DecodeError> {
        let null = self.error("null where a string is needed");
        self.nullable_str(layout)?.ok_or(null)
    }

    /// A byte string, or null.
    ///
    /// # Errors
    ///
    /// When it is longer than the message or of negative length.
    pub fn nullable_bytes(&mut self, layout: Layout) -> Result<Option<Bytes>, DecodeError> {
        let Some(length) = self.length(Self::i32, layout)? else {
            return Ok(None);
        };
        let from = self.at;
        let taken = self.take(length)?;
        Ok(Some(match self.source {
            Some(source) => source.slice(from..from + length),
            None => Bytes::copy_from_slice(taken),
        }))
    }

    /// The number of elements of an array, or null. Each takes at least `smallest` bytes (at least one is assumed).
    ///
    /// # Errors
    ///
    /// When the count is negative, or the bytes that remain cannot hold so many elements.
    pub fn nullable_count(&mut self, layout: Layout, smallest: usize) -> Result<Option<usize>, DecodeError> {
        let at = self.at;
        let Some(count) = self.length(Self::i32, layout)? else {
            return Ok(None);
        };
        if count > self.remaining() / smallest.max(1) {
            return Err(DecodeError { field: "", what: "array longer than the message can hold", at });
        }
        Ok(Some(count))
    }

    /// The number of tagged fields behind a struct; read each by [`tagged_field`](Self::tagged_field).
    ///
    /// # Errors
    ///
    /// When the bytes that remain cannot hold so many.
    pub fn tagged_count(&mut self) -> Result<usize, DecodeError> {
        let at = self.at;
        let count = self.uvarint()? as usize;
        // Each takes a byte of tag and a byte of size, at least.
        if count > self.remaining() / 2 {
            return Err(DecodeError { field: "", what: "more tagged fields than the message can hold", at });
        }
        Ok(count)
    }

    /// One tagged field: its tag, and a reader confined to its value.
    ///
    /// # Errors
    ///
    /// When it is longer than the message.
    pub fn tagged_field(&mut self) -> Result<(u32, Self), DecodeError> {
        let tag = self.uvarint()?;
        let size = self.uvarint()? as usize;
        let at = self.at;
        self.take(size)?;
        // The inner reader keeps the absolute position, so that errors and shared slices stay right.
        Ok((tag, Self { bytes: &self.bytes[..at + size], at, source: self.source }))
    }

    /// Skips the tagged fields behind a struct, known or not.
    ///
    /// # Errors
    ///
    /// When they are longer than the message.
    pub fn skip_tagged(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.tagged_count()? {
            self.tagged_field()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

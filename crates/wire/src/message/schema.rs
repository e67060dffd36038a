//! The notation messages are declared in, and what derives both directions from it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ErrorCode;
use crate::frame::Frame;
use crate::ids::{
    ApiKey, ApiVersion, BrokerId, CorrelationId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId,
    TopicName,
};
use crate::primitive::{DecodeError, Layout, Reader};

/// Version of the message being read or written, and how that version writes lengths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    pub(crate) number: i16,
    pub(crate) layout: Layout,
}

/// A value that can be a field of a message.
pub(crate) trait Field: Sized {
    /// What a version without the field means by its absence.
    fn absent() -> Self;
    /// The fewest bytes a value takes, which bounds how many of them a message can hold.
    fn smallest(version: Version) -> usize;
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError>;
    fn write(&self, out: &mut Writer, version: Version);
}

/// Collects one outgoing message. Payload is spliced in between, not copied.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The bytes since the last splice.
    out: BytesMut,
    /// The bytes in front of the first splice, whose first four are the size prefix.
    head: Option<BytesMut>,
    /// What follows `head`; its first element is a placeholder for it.
    parts: Vec<Bytes>,
    spliced: usize,
}

const SIZE_PREFIX: usize = 4;

impl Writer {
    /// `capacity` bytes of protocol, in `parts` slices: hints.
    pub(crate) fn new(capacity: usize, parts: usize) -> Self {
        let mut out = BytesMut::with_capacity(capacity + SIZE_PREFIX);
        out.put_i32(0);
        Self { out, head: None, parts: Vec::with_capacity(parts), spliced: 0 }
    }

    /// Where bytes are written to.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Appends `payload` without copying it.
    pub(crate) fn splice(&mut self, payload: &[Bytes]) {
        let before = self.out.split();
        if self.head.is_none() {
            self.spliced += before.len();
            self.head = Some(before);
            self.parts.push(Bytes::new());
        } else {
            self.push(before.freeze());
        }
        for part in payload {
            self.push(part.clone());
        }
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.spliced += part.len();
            self.parts.push(part);
        }
    }

    /// The message, its size in front.
    pub(crate) fn finish(mut self) -> Frame {
        let len = self.spliced + self.out.len();
        // Nothing larger can be sent; a size that does not fit is refused by any peer.
        let size = i32::try_from(len - SIZE_PREFIX).unwrap_or(i32::MAX);
        let head = self.head.as_mut().unwrap_or(&mut self.out);
        head[..SIZE_PREFIX].copy_from_slice(&size.to_be_bytes());
        match self.head {
            Some(head) => self.parts[0] = head.freeze(),
            None => debug_assert!(self.parts.is_empty(), "a splice leaves a head"),
        }
        let mut frame = Frame::from(self.parts);
        frame.push(self.out.freeze());
        frame
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value.to_le_bytes()[0]);
    }

    /// The count of an array or length of a byte string; `None` is null.
    pub(crate) fn count(&mut self, count: Option<usize>, layout: Layout) {
        match layout {
            Layout::Flexible => self.uvarint(count.map_or(0, |n| u32::try_from(n + 1).unwrap_or(u32::MAX))),
            Layout::Classic => self.out.put_i32(count.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX))),
        }
    }

    /// A string longer than its length can say is cut at a character: only a text for people can be so long.
    pub(crate) fn nullable_str(&mut self, text: Option<&str>, layout: Layout) {
        const LONGEST: usize = 0x7fff;
        let text = text.map(|text| &text[..text.floor_char_boundary(LONGEST)]);
        match layout {
            Layout::Flexible => self.count(text.map(str::len), layout),
            Layout::Classic => self.out.put_i16(text.map_or(-1, |t| i16::try_from(t.len()).unwrap_or(i16::MAX))),
        }
        self.out.put_slice(text.unwrap_or_default().as_bytes());
    }
}

macro_rules! numbers {
    ($($ty:ty, $int:ty, $put:ident, $read:ident, $absent:expr, $wrap:expr, $unwrap:expr;)*) => {$(
        impl Field for $ty {
            fn absent() -> Self {
                $absent
            }
            fn smallest(_: Version) -> usize {
                size_of::<$int>()
            }
            fn read(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
                reader.$read().map($wrap)
            }
            fn write(&self, out: &mut Writer, _: Version) {
                let unwrap: fn(&Self) -> $int = $unwrap;
                out.out().$put(unwrap(self));
            }
        }
    )*};
}

numbers! {
    i8, i8, put_i8, i8, 0, |n| n, |n| *n;
    i16, i16, put_i16, i16, 0, |n| n, |n| *n;
    i32, i32, put_i32, i32, 0, |n| n, |n| *n;
    i64, i64, put_i64, i64, 0, |n| n, |n| *n;
    bool, u8, put_u8, bool, false, |b| b, |b| u8::from(*b);
    ErrorCode, i16, put_i16, i16, Self::NONE, Self, |n| n.0;
    ApiKey, i16, put_i16, i16, Self(0), Self, |n| n.0;
    ApiVersion, i16, put_i16, i16, Self(0), Self, |n| n.0;
    BrokerId, i32, put_i32, i32, Self(-1), Self, |n| n.0;
    CorrelationId, i32, put_i32, i32, Self(0), Self, |n| n.0;
    LeaderEpoch, i32, put_i32, i32, Self::UNKNOWN, Self, |n| n.0;
    PartitionId, i32, put_i32, i32, Self(0), Self, |n| n.0;
    Offset, i64, put_i64, i64, Self(-1), Self, |n| n.0;
    ProducerId, i64, put_i64, i64, Self::NONE, Self, |n| n.0;
    ProducerEpoch, i16, put_i16, i16, Self::NONE, Self, |n| n.0;
}

impl Field for TopicId {
    fn absent() -> Self {
        Self::ZERO
    }
    fn smallest(_: Version) -> usize {
        16
    }
    fn read(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }
    fn write(&self, out: &mut Writer, _: Version) {
        out.out().put_slice(&self.0);
    }
}

macro_rules! strings {
    ($($ty:ty, $make:expr, $text:expr;)*) => {$(
        impl Field for $ty {
            fn absent() -> Self {
                $make("")
            }
            fn smallest(version: Version) -> usize {
                if version.layout == Layout::Flexible { 1 } else { 2 }
            }
            fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
                reader.str(version.layout).map($make)
            }
            fn write(&self, out: &mut Writer, version: Version) {
                out.nullable_str(Some($text(self)), version.layout);
            }
        }

        impl Field for Option<$ty> {
            fn absent() -> Self {
                None
            }
            fn smallest(version: Version) -> usize {
                <$ty>::smallest(version)
            }
            fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
                Ok(reader.nullable_str(version.layout)?.map($make))
            }
            fn write(&self, out: &mut Writer, version: Version) {
                out.nullable_str(self.as_ref().map($text), version.layout);
            }
        }
    )*};
}

strings! {
    String, str::to_owned, String::as_str;
    TopicName, TopicName::new, TopicName::as_str;
}

fn smallest_count(version: Version) -> usize {
    if version.layout == Layout::Flexible { 1 } else { 4 }
}

fn read_array<T: Field>(reader: &mut Reader<'_>, version: Version) -> Result<Option<Vec<T>>, DecodeError> {
    let Some(count) = reader.nullable_count(version.layout, T::smallest(version))? else {
        return Ok(None);
    };
    // Not reserved: the count is plausible, but elements in memory are larger than on the wire.
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.push(T::read(reader, version)?);
    }
    Ok(Some(elements))
}

fn write_array<T: Field>(elements: Option<&[T]>, out: &mut Writer, version: Version) {
    out.count(elements.map(<[T]>::len), version.layout);
    for element in elements.unwrap_or_default() {
        element.write(out, version);
    }
}

impl<T: Field> Field for Vec<T> {
    fn absent() -> Self {
        Self::new()
    }
    fn smallest(version: Version) -> usize {
        smallest_count(version)
    }
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let null = reader.error("null where an array is needed");
        read_array(reader, version)?.ok_or(null)
    }
    fn write(&self, out: &mut Writer, version: Version) {
        write_array(Some(self), out, version);
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    fn absent() -> Self {
        None
    }
    fn smallest(version: Version) -> usize {
        smallest_count(version)
    }
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        read_array(reader, version)
    }
    fn write(&self, out: &mut Writer, version: Version) {
        write_array(self.as_deref(), out, version);
    }
}

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

impl Field for Option<Slices> {
    fn absent() -> Self {
        None
    }
    fn smallest(version: Version) -> usize {
        smallest_count(version)
    }
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        Ok(reader.nullable_bytes(version.layout)?.map(Slices::from))
    }
    fn write(&self, out: &mut Writer, version: Version) {
        out.count(self.as_ref().map(Slices::len), version.layout);
        if let Some(slices) = self {
            out.splice(&slices.0);
        }
    }
}

/// A byte string, records for one; spliced on the way out and shared with the message on the way in.
impl Field for Option<Bytes> {
    fn absent() -> Self {
        None
    }
    fn smallest(version: Version) -> usize {
        smallest_count(version)
    }
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_bytes(version.layout)
    }
    fn write(&self, out: &mut Writer, version: Version) {
        out.count(self.as_ref().map(Bytes::len), version.layout);
        if let Some(bytes) = self {
            out.splice(std::slice::from_ref(bytes));
        }
    }
}

/// Writes the tagged fields behind a struct: those that differ from their default, in ascending order.
pub(crate) fn write_tagged(out: &mut Writer, fields: &[(u32, Option<Vec<u8>>)]) {
    let present = fields.iter().filter_map(|(tag, value)| value.as_ref().map(|value| (*tag, value)));
    out.uvarint(u32::try_from(present.clone().count()).unwrap_or(u32::MAX));
    for (tag, value) in present {
        out.uvarint(tag);
        out.uvarint(u32::try_from(value.len()).unwrap_or(u32::MAX));
        out.out().put_slice(value);
    }
}

/// The bytes of a tagged field, or nothing if it is what its absence means anyway.
pub(crate) fn tagged_value<T: Field + PartialEq>(value: &T, absent: &T, version: Version) -> Option<Vec<u8>> {
    if value == absent {
        return None;
    }
    let mut inner = Writer::new(0, 0);
    value.write(&mut inner, version);
    Some(inner.finish().to_vec().split_off(SIZE_PREFIX))
}

/// What a version without the field means: the given value, or that of the type.
macro_rules! absent {
    () => {
        $crate::message::schema::Field::absent()
    };
    ($value:expr) => {
        $value
    };
}

/// Declares structs of a message: `name: Type [first version..] = default;`, then the tagged fields as
/// `tag => name: Type [first version..] = default;`.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty [$($range:tt)+] $(= $absent:expr)?;)*
        } $(tagged {
            $($(#[$tag_meta:meta])* $tag:literal => $tagged:ident: $tag_ty:ty [$($tag_range:tt)+] $(= $tag_absent:expr)?;)*
        })?
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
            $($($(#[$tag_meta])* pub $tagged: $tag_ty,)*)?
        }

        /// What a version without the fields means by their absence.
        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: absent!($($absent)?),)*
                    $($($tagged: absent!($($tag_absent)?),)*)?
                }
            }
        }

        impl $crate::message::schema::Field for $name {
            fn absent() -> Self {
                Self::default()
            }

            #[allow(unused_mut, reason = "a struct may have no field of its own")]
            fn smallest(version: $crate::message::schema::Version) -> usize {
                let mut sum = usize::from(version.layout == $crate::primitive::Layout::Flexible);
                $(if ($($range)+).contains(&version.number) {
                    sum += <$ty as $crate::message::schema::Field>::smallest(version);
                })*
                sum
            }

            fn read(
                reader: &mut $crate::primitive::Reader<'_>,
                version: $crate::message::schema::Version,
            ) -> Result<Self, $crate::primitive::DecodeError> {
                #[allow(unused_mut, reason = "a struct may have no field of its own")]
                let mut value = Self::default();
                $(if ($($range)+).contains(&version.number) {
                    value.$field = $crate::message::schema::Field::read(reader, version)
                        .map_err(|e| e.in_field(concat!(stringify!($name), ".", stringify!($field))))?;
                })*
                if version.layout == $crate::primitive::Layout::Flexible {
                    for _ in 0..reader.tagged_count().map_err(|e| e.in_field(stringify!($name)))? {
                        let (tag, inner) = reader.tagged_field().map_err(|e| e.in_field(stringify!($name)))?;
                        #[allow(unused_mut, unused_variables, reason = "not every struct knows a tag")]
                        let mut inner = inner;
                        match tag {
                            $($($tag if ($($tag_range)+).contains(&version.number) => {
                                value.$tagged = $crate::message::schema::Field::read(&mut inner, version)
                                    .and_then(|field| inner.finish().map(|()| field))
                                    .map_err(|e| e.in_field(concat!(stringify!($name), ".", stringify!($tagged))))?;
                            })*)?
                            _ => {}
                        }
                    }
                }
                Ok(value)
            }

            fn write(&self, out: &mut $crate::message::schema::Writer, version: $crate::message::schema::Version) {
                $(if ($($range)+).contains(&version.number) {
                    $crate::message::schema::Field::write(&self.$field, out, version);
                })*
                if version.layout == $crate::primitive::Layout::Flexible {
                    $crate::message::schema::write_tagged(out, &[
                        $($(($tag, if ($($tag_range)+).contains(&version.number) {
                            $crate::message::schema::tagged_value(&self.$tagged, &absent!($($tag_absent)?), version)
                        } else {
                            None
                        }),)*)?
                    ]);
                }
            }
        }
    )*};
}

/// The versions of one API that this crate speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) oldest: i16,
    pub(crate) newest: i16,
    /// The first version with varint lengths and tagged fields (KIP-482).
    pub(crate) flexible: i16,
}

impl Api {
    pub(crate) fn version(&self, version: ApiVersion) -> Version {
        Version { number: version.0, layout: self.layout(version) }
    }

    pub(crate) fn layout(&self, version: ApiVersion) -> Layout {
        if version.0 >= self.flexible { Layout::Flexible } else { Layout::Classic }
    }

    pub(crate) fn check(&self, version: ApiVersion) -> Result<Version, DecodeError> {
        if (self.oldest..=self.newest).contains(&version.0) {
            Ok(self.version(version))
        } else {
            Err(DecodeError { field: "", what: "version of the API that is not spoken here", at: 0 })
        }
    }
}

/// Gives a request struct its frame and its decoder.
macro_rules! request {
    ($name:ident, $api:expr) => {
        impl $name {
            /// The whole request, its size in front.
            #[must_use]
            pub fn encode_frame(
                &self,
                version: $crate::ApiVersion,
                correlation: $crate::CorrelationId,
                client_id: Option<&str>,
            ) -> $crate::Frame {
                let mut out = $crate::message::schema::Writer::new(128, 1);
                $crate::message::header::write_request_header(&mut out, &$api, version, correlation, client_id);
                $crate::message::schema::Field::write(self, &mut out, $api.version(version));
                out.finish()
            }

            request!(decode $name, $api);
        }
    };
    (decode $name:ident, $api:expr) => {
        /// Reads the body that follows the request header, to its end.
        ///
        /// # Errors
        ///
        /// When the version is not spoken here, or the bytes are not such a request.
        pub fn decode(
            version: $crate::ApiVersion,
            reader: &mut $crate::Reader<'_>,
        ) -> Result<Self, $crate::DecodeError> {
            let value = $crate::message::schema::Field::read(reader, $api.check(version)?)?;
            reader.finish()?;
            Ok(value)
        }
    };
}

/// Gives a response struct its frame and its decoder.
macro_rules! response {
    ($name:ident, $api:expr) => {
        impl $name {
            /// Reads the body that follows the response header, to its end.
            ///
            /// # Errors
            ///
            /// When the version is not spoken here, or the bytes are not such a response.
            pub fn decode(version: $crate::ApiVersion, body: &[u8]) -> Result<Self, $crate::DecodeError> {
                let mut reader = $crate::Reader::new(body);
                let value = $crate::message::schema::Field::read(&mut reader, $api.check(version)?)?;
                reader.finish()?;
                Ok(value)
            }

            response!(encode $api);
        }
    };
    (encode $api:expr) => {
        /// The whole response, its size in front.
        #[must_use]
        pub fn encode_frame(
            &self,
            version: $crate::ApiVersion,
            correlation: $crate::CorrelationId,
        ) -> $crate::Frame {
            let mut out = $crate::message::schema::Writer::new(256, 1);
            $crate::message::header::write_response_header(&mut out, &$api, version, correlation);
            $crate::message::schema::Field::write(self, &mut out, $api.version(version));
            out.finish()
        }
    };
}

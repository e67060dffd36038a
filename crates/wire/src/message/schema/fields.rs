//! The types that a field of a message can have.

use bytes::{BufMut, Bytes};

#[cfg(test)]
use super::sample::{Dice, Element};
use super::{Field, Version, Writer};
use crate::ErrorCode;
use crate::ids::{
    ApiKey, ApiVersion, BrokerId, CorrelationId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId,
    TopicName,
};
use crate::message::Slices;
use crate::message::sasl_authenticate::AuthBytes;
use crate::primitive::{DecodeError, Layout, Reader};

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
            #[cfg(test)]
            fn sample(dice: &mut Dice, _: Version) -> Self {
                let wrap: fn($int) -> Self = $wrap;
                wrap(dice.number().to_be_bytes().first_chunk().map_or(0, |bytes| <$int>::from_be_bytes(*bytes)))
            }
        }
    )*};
}

numbers! {
    i8, i8, put_i8, i8, 0, |n| n, |n| *n;
    i16, i16, put_i16, i16, 0, |n| n, |n| *n;
    i32, i32, put_i32, i32, 0, |n| n, |n| *n;
    i64, i64, put_i64, i64, 0, |n| n, |n| *n;

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

impl Field for bool {
    fn absent() -> Self {
        false
    }
    fn smallest(_: Version) -> usize {
        1
    }
    fn read(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
        reader.bool()
    }
    fn write(&self, out: &mut Writer, _: Version) {
        out.out().put_u8(u8::from(*self));
    }
    #[cfg(test)]
    fn sample(dice: &mut Dice, _: Version) -> Self {
        dice.one_in(2)
    }
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
    #[cfg(test)]
    fn sample(dice: &mut Dice, _: Version) -> Self {
        let (high, low) = (u128::from(dice.number()), u128::from(dice.number()));
        Self((high << 64 | low).to_be_bytes())
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
            #[cfg(test)]
            fn sample(dice: &mut Dice, _: Version) -> Self {
                $make(&dice.text())
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
            #[cfg(test)]
            fn sample(dice: &mut Dice, version: Version) -> Self {
                (!dice.one_in(3)).then(|| Field::sample(dice, version))
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
    // Not reserved at once, since elements in memory are larger than on the wire and the count is no more than plausible; but never beyond it
    // either, so that a whole array has no room left over.
    let mut elements = Vec::new();
    for read in 0..count {
        if elements.len() == elements.capacity() {
            elements.reserve_exact(read.max(4).min(count - read));
        }
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
    #[cfg(test)]
    fn elements(version: Version, into: &mut Vec<Element>) {
        Element::of::<T>(version, into);
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
    #[cfg(test)]
    fn sample(dice: &mut Dice, version: Version) -> Self {
        (0..dice.number() % 4).map(|_| T::sample(dice, version)).collect()
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    fn absent() -> Self {
        None
    }
    #[cfg(test)]
    fn elements(version: Version, into: &mut Vec<Element>) {
        Element::of::<T>(version, into);
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
    #[cfg(test)]
    fn sample(dice: &mut Dice, version: Version) -> Self {
        (!dice.one_in(3)).then(|| Field::sample(dice, version))
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
    #[cfg(test)]
    fn sample(dice: &mut Dice, _: Version) -> Self {
        (!dice.one_in(3)).then(|| Slices((0..dice.number() % 3).map(|_| dice.bytes()).collect()))
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
    #[cfg(test)]
    fn sample(dice: &mut Dice, _: Version) -> Self {
        (!dice.one_in(3)).then(|| dice.bytes())
    }
}

impl Field for AuthBytes {
    fn absent() -> Self {
        Self::default()
    }
    fn smallest(version: Version) -> usize {
        smallest_count(version)
    }
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let null = reader.error("null where bytes are needed");
        reader.nullable_bytes(version.layout)?.map(Self).ok_or(null)
    }
    fn write(&self, out: &mut Writer, version: Version) {
        out.count(Some(self.0.len()), version.layout);
        out.splice(std::slice::from_ref(&self.0));
    }
    #[cfg(test)]
    fn sample(dice: &mut Dice, _: Version) -> Self {
        Self(dice.bytes())
    }
}

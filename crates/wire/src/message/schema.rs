//! The notation messages are declared in, and what derives both directions from it.

mod fields;
#[cfg(test)]
pub(crate) mod sample;
mod writer;

pub(crate) use writer::{Writer, tagged_value, write_tagged};

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
    /// Any value that the version can carry.
    #[cfg(test)]
    fn sample(dice: &mut sample::Dice, version: Version) -> Self;
    /// What arrays in it are made of, at any depth.
    #[cfg(test)]
    fn elements(_: Version, _: &mut Vec<sample::Element>) {}
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

            #[cfg(test)]
            fn elements(
                version: $crate::message::schema::Version,
                into: &mut Vec<$crate::message::schema::sample::Element>,
            ) {
                $(if ($($range)+).contains(&version.number) {
                    <$ty as $crate::message::schema::Field>::elements(version, into);
                })*
                $($(if ($($tag_range)+).contains(&version.number) {
                    <$tag_ty as $crate::message::schema::Field>::elements(version, into);
                })*)?
            }

            #[cfg(test)]
            fn sample(
                dice: &mut $crate::message::schema::sample::Dice,
                version: $crate::message::schema::Version,
            ) -> Self {
                let mut value = Self::default();
                $(if ($($range)+).contains(&version.number) {
                    value.$field = $crate::message::schema::Field::sample(dice, version);
                })*
                $($(if ($($tag_range)+).contains(&version.number) && dice.one_in(2) {
                    value.$tagged = $crate::message::schema::Field::sample(dice, version);
                })*)?
                value
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

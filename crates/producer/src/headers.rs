//! The headers of a record that is yet to be produced.

use std::borrow::Cow;

use milena_wire::HeaderRef;

use crate::record::Payload;

/// Headers in order; duplicates are kept.
///
/// The first few, if all they have is borrowed, lie in the record itself: they cost no allocation, and there is nothing of them to be dropped.
#[derive(Clone, Debug)]
pub(crate) enum Headers<'a> {
    None,
    /// So many of these.
    Few(usize, [HeaderRef<'a>; FEW]),
    Many(Vec<Header<'a>>),
}

/// How many borrowed headers lie in the record.
const FEW: usize = 4;

/// How many of [`Headers::Many`] are handed to the encoder without an allocation.
const INLINE: usize = 8;

const NO_HEADER: HeaderRef<'_> = HeaderRef { key: "", value: None };

#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    key: Cow<'a, str>,
    value: Option<Payload<'a>>,
}

impl<'a> Headers<'a> {
    /// These and one more. Every number of headers has a line of its own: in the caller's own function they are known then, and nothing is moved.
    #[inline(always)]
    pub(crate) fn and(self, key: Cow<'a, str>, value: Option<Payload<'a>>) -> Self {
        let more = match (&key, &value) {
            (Cow::Borrowed(key), None) => HeaderRef { key, value: None },
            (Cow::Borrowed(key), Some(Payload::Borrowed(value))) => HeaderRef { key, value: Some(value) },
            _ => return Self::Many(self.and_apart(Header { key, value })),
        };
        match self {
            Self::None => Self::Few(1, [more, NO_HEADER, NO_HEADER, NO_HEADER]),
            Self::Few(1, [a, ..]) => Self::Few(2, [a, more, NO_HEADER, NO_HEADER]),
            Self::Few(2, [a, b, ..]) => Self::Few(3, [a, b, more, NO_HEADER]),
            Self::Few(3, [a, b, c, _]) => Self::Few(4, [a, b, c, more]),
            all => Self::Many(all.and_apart(more.into())),
        }
    }

    #[inline(always)]
    fn and_apart(self, more: Header<'a>) -> Vec<Header<'a>> {
        match self {
            Self::None => one_more(Vec::new(), more),
            Self::Few(count, few) => one_more(listed(count, few), more),
            Self::Many(many) => one_more(many, more),
        }
    }

    #[inline(always)]
    fn few(&self) -> &[HeaderRef<'a>] {
        match self {
            Self::Few(count, few) => &few[..*count],
            Self::None | Self::Many(_) => &[],
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = HeaderRef<'_>> {
        let (few, many) = match self {
            Self::Many(many) => (&[][..], &many[..]),
            few => (few.few(), &[][..]),
        };
        (0..few.len() + many.len()).map(|at| many.get(at).map_or_else(|| few[at], Header::as_ref))
    }

    #[inline(always)]
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Calls `then` with all of them.
    #[inline]
    pub(crate) fn with<T>(&self, then: impl FnOnce(&[HeaderRef<'_>]) -> T) -> T {
        match self {
            Self::Many(many) if many.len() <= INLINE => {
                let mut inline = [NO_HEADER; INLINE];
                inline.iter_mut().zip(many).for_each(|(slot, header)| *slot = header.as_ref());
                then(&inline[..many.len()])
            }
            Self::Many(many) => then(&many.iter().map(Header::as_ref).collect::<Vec<_>>()),
            few => then(few.few()),
        }
    }

    pub(crate) fn into_owned(self) -> Headers<'static> {
        let owned = |header: Header<'a>| Header {
            key: Cow::Owned(header.key.into_owned()),
            value: header.value.map(Payload::into_owned),
        };
        match self {
            Self::None => Headers::None,
            Self::Few(..) => Headers::Many(self.few().iter().copied().map(Header::from).map(owned).collect()),
            Self::Many(many) => Headers::Many(many.into_iter().map(owned).collect()),
        }
    }
}

#[inline(never)]
fn one_more<'a>(mut headers: Vec<Header<'a>>, more: Header<'a>) -> Vec<Header<'a>> {
    headers.push(more);
    headers
}

/// Takes them as a copy: what a function outside sees of a record has to lie in memory.
#[inline(never)]
fn listed<'a>(count: usize, few: [HeaderRef<'a>; FEW]) -> Vec<Header<'a>> {
    few[..count].iter().copied().map(Header::from).collect()
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers<'_> {}

impl<'a> From<HeaderRef<'a>> for Header<'a> {
    fn from(header: HeaderRef<'a>) -> Self {
        Self { key: Cow::Borrowed(header.key), value: header.value.map(Payload::Borrowed) }
    }
}

impl Header<'_> {
    fn as_ref(&self) -> HeaderRef<'_> {
        HeaderRef { key: &self.key, value: self.value.as_ref().map(Payload::as_slice) }
    }
}

//! Kafka's three variable-length integers, and a reader that never looks past the bytes it was given.
//!
//! Records use zig-zag varints (32 bits) and varlongs (64 bits); the flexible versions of the protocol's messages use
//! unsigned varints without zig-zag. All are little-endian groups of 7 bits, the high bit saying that more follow.

/// Most bytes a 32-bit varint takes.
pub const VARINT_MAX_LEN: usize = 5;
/// Most bytes a 64-bit varint takes.
pub const VARLONG_MAX_LEN: usize = 10;

/// Why a variable-length integer could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum VarintError {
    /// The bytes ended inside it.
    Truncated,
    /// It does not fit its width.
    Overflow,
}

impl std::fmt::Display for VarintError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the bytes end inside a variable-length integer",
            Self::Overflow => "a variable-length integer is longer than its type",
        })
    }
}

impl std::error::Error for VarintError {}

/// Maps small magnitudes of either sign to small unsigned numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
#[inline]
#[must_use]
pub const fn zigzag(n: i32) -> u32 {
    ((n << 1) ^ (n >> 31)).cast_unsigned()
}

/// As [`zigzag`], for 64 bits.
#[inline]
#[must_use]
pub const fn zigzag_long(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
#[inline]
#[must_use]
pub const fn unzigzag(n: u32) -> i32 {
    (n >> 1).cast_signed() ^ -((n & 1).cast_signed())
}

/// Undoes [`zigzag_long`].
#[inline]
#[must_use]
pub const fn unzigzag_long(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -((n & 1).cast_signed())
}

/// Bytes of `n` as an unsigned varint: 1 to 5.
#[inline]
#[must_use]
pub const fn uvarint_len(n: u32) -> usize {
    uvarlong_len(n as u64)
}

/// Bytes of `n` as an unsigned varlong: 1 to 10.
#[inline]
#[must_use]
pub const fn uvarlong_len(n: u64) -> usize {
    // ceil(bits / 7) without a division: 9/64 is close enough to 1/7 for 1 to 64 bits.
    let bits = 64 - (n | 1).leading_zeros();
    ((bits * 9 + 64) >> 6) as usize
}

/// Bytes of `n` as a zig-zag varint: 1 to 5.
#[inline]
#[must_use]
pub const fn varint_len(n: i32) -> usize {
    uvarint_len(zigzag(n))
}

/// Bytes of `n` as a zig-zag varlong: 1 to 10.
#[inline]
#[must_use]
pub const fn varlong_len(n: i64) -> usize {
    uvarlong_len(zigzag_long(n))
}

/// Writes `n` as an unsigned varlong at the front of `out` and says how many bytes it took.
///
/// An unsigned varint is the same bytes, so this serves both.
///
/// # Panics
///
/// If `out` is shorter than [`uvarlong_len`]`(n)`.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the low 7 bits are meant")]
pub fn write_uvarlong(out: &mut [u8], mut n: u64) -> usize {
    let mut at = 0;
    while n >= 0x80 {
        out[at] = n as u8 | 0x80;
        n >>= 7;
        at += 1;
    }
    out[at] = n as u8;
    at + 1
}

/// Writes `n` as a zig-zag varint at the front of `out` and says how many bytes it took.
///
/// # Panics
///
/// If `out` is shorter than [`varint_len`]`(n)`.
#[inline]
pub fn write_varint(out: &mut [u8], n: i32) -> usize {
    write_uvarlong(out, u64::from(zigzag(n)))
}

/// Writes `n` as a zig-zag varlong at the front of `out` and says how many bytes it took.
///
/// # Panics
///
/// If `out` is shorter than [`varlong_len`]`(n)`.
#[inline]
pub fn write_varlong(out: &mut [u8], n: i64) -> usize {
    write_uvarlong(out, zigzag_long(n))
}

/// Reads an unsigned varint from the front of `input`: the number and how many bytes it took.
///
/// # Errors
///
/// [`VarintError::Truncated`] if `input` ends inside it, [`VarintError::Overflow`] if it has more than 32 bits.
#[inline]
pub fn read_uvarint(input: &[u8]) -> Result<(u32, usize), VarintError> {
    let (n, len) = read_bits(input, VARINT_MAX_LEN)?;
    u32::try_from(n).map(|n| (n, len)).map_err(|_| VarintError::Overflow)
}

/// Reads an unsigned varlong from the front of `input`: the number and how many bytes it took.
///
/// # Errors
///
/// [`VarintError::Truncated`] if `input` ends inside it, [`VarintError::Overflow`] if it has more than 64 bits.
#[inline]
pub fn read_uvarlong(input: &[u8]) -> Result<(u64, usize), VarintError> {
    read_bits(input, VARLONG_MAX_LEN)
}

/// Reads a zig-zag varint from the front of `input`: the number and how many bytes it took.
///
/// # Errors
///
/// As [`read_uvarint`].
#[inline]
pub fn read_varint(input: &[u8]) -> Result<(i32, usize), VarintError> {
    read_uvarint(input).map(|(n, len)| (unzigzag(n), len))
}

/// Reads a zig-zag varlong from the front of `input`: the number and how many bytes it took.
///
/// # Errors
///
/// As [`read_uvarlong`].
#[inline]
pub fn read_varlong(input: &[u8]) -> Result<(i64, usize), VarintError> {
    read_uvarlong(input).map(|(n, len)| (unzigzag_long(n), len))
}

#[inline]
fn read_bits(input: &[u8], max_len: usize) -> Result<(u64, usize), VarintError> {
    let mut n = 0;
    for (at, &byte) in input.iter().take(max_len).enumerate() {
        let group = u64::from(byte & 0x7f);
        // Only the tenth byte can lose bits; the caller checks the fifth.
        if at == VARLONG_MAX_LEN - 1 && group > 1 {
            return Err(VarintError::Overflow);
        }
        n |= group << (7 * at);
        if byte < 0x80 {
            return Ok((n, at + 1));
        }
    }
    Err(if input.len() < max_len { VarintError::Truncated } else { VarintError::Overflow })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VARINTS: [(i32, &[u8]); 13] = [
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (-2, &[0x03]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (-65, &[0x81, 0x01]),
        (300, &[0xd8, 0x04]),
        (8191, &[0xfe, 0x7f]),
        (8192, &[0x80, 0x80, 0x01]),
        (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];

    #[test]
    fn known_numbers_have_their_known_bytes() {
        for (n, bytes) in VARINTS {
            let mut out = [0xaa; VARLONG_MAX_LEN];
            assert_eq!(write_varint(&mut out, n), bytes.len(), "{n}");
            assert_eq!(&out[..bytes.len()], bytes, "{n}");
            assert_eq!(varint_len(n), bytes.len(), "{n}");
            assert_eq!(read_varint(bytes), Ok((n, bytes.len())));
            assert_eq!(write_varlong(&mut out, i64::from(n)), bytes.len(), "as a varlong: {n}");
            assert_eq!(&out[..bytes.len()], bytes, "as a varlong: {n}");
        }
        for (n, first, last) in [(i64::MAX, 0xfe, 0x01), (i64::MIN, 0xff, 0x01)] {
            let mut bytes = [0xff; VARLONG_MAX_LEN];
            (bytes[0], bytes[9]) = (first, last);
            let mut out = [0; VARLONG_MAX_LEN];
            assert_eq!(write_varlong(&mut out, n), VARLONG_MAX_LEN);
            assert_eq!(out, bytes);
            assert_eq!(read_varlong(&bytes), Ok((n, VARLONG_MAX_LEN)));
        }
    }

    #[test]
    fn lengths_are_exact_at_every_power_of_two() {
        for shift in 0..64 {
            for n in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                assert_eq!(uvarlong_len(n), write_uvarlong(&mut [0; VARLONG_MAX_LEN], n), "{n}");
            }
        }
    }

    #[test]
    fn numbers_longer_than_their_type_are_refused() {
        assert_eq!(read_uvarint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX, 5)));
        assert_eq!(read_uvarint(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err(VarintError::Overflow));
        assert_eq!(read_uvarint(&[0x80; 5]), Err(VarintError::Overflow));
        assert_eq!(read_uvarint(&[0x80; 4]), Err(VarintError::Truncated));
        assert_eq!(read_uvarint(&[]), Err(VarintError::Truncated));
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(read_uvarlong(&bytes), Ok((u64::MAX, 10)));
        bytes[9] = 2;
        assert_eq!(read_uvarlong(&bytes), Err(VarintError::Overflow));
        assert_eq!(read_uvarlong(&[0x80; 11]), Err(VarintError::Overflow));
        assert_eq!(read_uvarlong(&[0x80; 9]), Err(VarintError::Truncated));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_number_comes_back(int in any::<i32>(), long in any::<i64>(), shift in 0_u32..64) {
            for long in [long, long >> shift] {
                let mut out = [0; VARLONG_MAX_LEN];
                let len = write_varlong(&mut out, long);
                prop_assert_eq!(len, varlong_len(long));
                prop_assert_eq!(read_varlong(&out), Ok((long, len)));
                prop_assert_eq!(read_varlong(&out[..len - 1]), Err(VarintError::Truncated));
            }
            let mut out = [0; VARINT_MAX_LEN];
            let len = write_varint(&mut out, int);
            prop_assert_eq!(len, varint_len(int));
            prop_assert_eq!(read_varint(&out), Ok((int, len)));
        }
    }
}

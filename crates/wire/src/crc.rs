//! The two checksums: CRC-32C of record batches, and the IEEE CRC-32 that librdkafka partitions by.

/// CRC-32C (Castagnoli) of `bytes`, as a record batch carries it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// CRC-32C of what gave `crc`, followed by `bytes`.
#[must_use]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// CRC-32C of what gave `crc`, followed by all of `slices`.
#[must_use]
pub fn crc32c_append_all<S: AsRef<[u8]>>(crc: u32, slices: &[S]) -> u32 {
    slices.iter().fold(crc, |crc, slice| ::crc32c::crc32c_append(crc, slice.as_ref()))
}

/// CRC-32 (IEEE 802.3, as zlib's) of `bytes`: what librdkafka's `consistent` partitioners hash keys with.
#[must_use]
pub fn crc32_ieee(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The CRC-32C of a batch's payload, made once, from which the CRC of the batch follows for each header put in front of it.
///
/// A header changes with every attempt to send a batch, its payload does not: combining costs some 50 ns, reading a payload
/// of 16 KiB again some 800.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PayloadCrc {
    crc: u32,
    len: usize,
    /// x^(8 * len) modulo the CRC's polynomial: what a CRC is multiplied by when `len` bytes are appended.
    shift: u32,
}

impl PayloadCrc {
    /// Reads the payload, its slices in order.
    #[must_use]
    pub fn of<S: AsRef<[u8]>>(payload: &[S]) -> Self {
        let len = payload.iter().map(|slice| slice.as_ref().len()).sum();
        Self { crc: crc32c_append_all(0, payload), len, shift: shift_by(len) }
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_len(self) -> usize {
        self.len
    }

    /// CRC-32C of what gave `front`, followed by the payload.
    #[must_use]
    pub fn after(self, front: u32) -> u32 {
        multiply(self.shift, front) ^ self.crc
    }
}

/// Castagnoli's polynomial, its highest power in the lowest bit as in everything below.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0.
const ONE: u32 = 1 << 31;

/// The product of two polynomials modulo the CRC's.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= b & ((a >> bit) & 1).wrapping_neg();
        b = (b >> 1) ^ (POLYNOMIAL & (b & 1).wrapping_neg());
    }
    product
}

/// x^(8 * i * 256^k) modulo the polynomial, for each value `i` of a length's byte `k`: a payload below 64 KiB takes one multiplication
/// then, where squaring took one for each bit.
static SHIFTS: [[u32; 256]; 8] = {
    let mut shifts = [[ONE; 256]; 8];
    let mut step = ONE >> 8;
    let mut k = 0;
    while k < 8 {
        let mut i = 1;
        while i < 256 {
            shifts[k][i] = multiply(shifts[k][i - 1], step);
            i += 1;
        }
        step = multiply(shifts[k][255], step);
        k += 1;
    }
    shifts
};

/// x^(8 * len) modulo the polynomial.
fn shift_by(len: usize) -> u32 {
    let parts = SHIFTS.iter().zip((len as u64).to_le_bytes()).filter(|(_, byte)| *byte > 0);
    parts.map(|(shifts, byte)| shifts[usize::from(byte)]).reduce(multiply).unwrap_or(ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_checksums_give_their_catalogue_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32_ieee(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn appending_slices_equals_one_pass() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let slices: Vec<&[u8]> = bytes[100..].chunks(333).collect();
        assert_eq!(crc32c_append_all(crc32c(&bytes[..100]), &slices), crc32c(&bytes));
    }

    #[test]
    fn a_shift_is_the_same_however_its_length_is_put_together() {
        let lengths = [0, 1, 255, 256, 257, 65_535, 65_536, 1 << 24, (1 << 24) + 77, 0x8123_4567, usize::MAX / 2 - 3];
        for len in lengths {
            for more in lengths {
                assert_eq!(multiply(shift_by(len), shift_by(more)), shift_by(len + more), "{len} and {more}");
            }
        }
    }

    #[test]
    fn a_payloads_crc_combines_with_whatever_is_in_front() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
        for len in [0, 1, 2, 3, 7, 8, 40, 255, 256, 4095, 16_384, 65_535, 65_536, 69_000] {
            let (front, payload) = bytes[..len + 40].split_at(40);
            let slices: Vec<&[u8]> = payload.chunks(1000).collect();
            let combined = PayloadCrc::of(&slices);
            assert_eq!(combined.payload_len(), len);
            assert_eq!(combined.after(crc32c(front)), crc32c(&bytes[..len + 40]), "{len} bytes");
            assert_eq!(combined.after(0), crc32c(payload), "{len} bytes, nothing in front");
        }
    }
}

//! What becomes of a batch's chunks when its records are compressed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use milena_mutants::Mutant;
use milena_wire::{CodecError, Compressed, Compression, Payload, Sink, compress};
use smallvec::SmallVec;

use crate::chunk::{CHUNK_MAX, Chunk, capacity_for, is_pooled};
use crate::lent::{self, Insert};
use crate::memory::{Funds, Memory};
use crate::topic::panic_text;

/// Records as they were written.
#[derive(Debug)]
pub(crate) enum Plain {
    /// In chunks that nobody else reads, and values that belong between them.
    Own(SmallVec<[Chunk; 1]>, Vec<Insert>),
    /// Somebody else wants them as they are.
    Shared(Payload),
}

impl Plain {
    fn slices(&self) -> SmallVec<[&[u8]; 1]> {
        match self {
            Self::Own(chunks, inserts) => lent::slices(chunks, inserts),
            Self::Shared(payload) => payload.iter().map(AsRef::as_ref).collect(),
        }
    }

    pub(crate) fn frozen(self) -> Payload {
        match self {
            Self::Own(chunks, inserts) => lent::frozen(chunks, inserts),
            Self::Shared(payload) => payload,
        }
    }

    /// `bytes` in the records' own chunks, as far as there are any. The others are given back.
    ///
    /// In buffers of their own, of all lengths, made by one thread and dropped by another, compressed batches left gaps in the allocator's memory: the
    /// process came to hold half as much again as the limit.
    pub(crate) fn overwritten(self, mut bytes: &[u8], memory: &Arc<Memory>) -> Payload {
        if Mutant::SqueezedHoldsMemory.lives() {
            memory.charge(bytes.len(), Funds::Forced);
        }
        let mut own = match self {
            Self::Own(chunks, _) => chunks.into_iter(),
            Self::Shared(_) => SmallVec::new().into_iter(),
        };
        let mut written = Payload::new();
        while !bytes.is_empty() {
            // One that was made to measure for a large record may be far too large now.
            let fits = |chunk: &Chunk| is_pooled(chunk.capacity()) || chunk.capacity() / 2 <= bytes.len();
            let mut chunk = match own.find(fits) {
                Some(chunk) => chunk.emptied(),
                // To wait for memory here would be to wait for batches that cannot be sent before this one.
                None => memory.forced_chunk(capacity_for(bytes.len().min(CHUNK_MAX), CHUNK_MAX), 0),
            };
            let (head, tail) = bytes.split_at(bytes.len().min(chunk.room()));
            chunk.put(head);
            written.push(Bytes::from_owner(chunk));
            bytes = tail;
        }
        written
    }
}

/// The records compressed, if that makes less of their `bytes`; else, what the codec said if it failed.
pub(crate) fn squeeze(compression: Compression, plain: &Plain, bytes: usize) -> Result<Option<Compressed>, Box<str>> {
    let small = contained(|| compress(compression, &plain.slices()))?;
    Ok(Some(small).filter(|small| small.len() < bytes))
}

/// A codec's panic is its failure. Nothing of ours is touched by it, so nothing is left half done.
fn contained<T>(compress: impl FnOnce() -> Result<T, CodecError>) -> Result<T, Box<str>> {
    match catch_unwind(AssertUnwindSafe(compress)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string().into()),
        Err(panic) => Err(format!("the codec panicked: {}", panic_text(&*panic)).into()),
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use milena_wire::{Codec, CodecFault};

    use super::*;

    #[test]
    fn a_codec_that_fails_or_panics_says_so() {
        let error = contained(|| {
            Err::<(), _>(CodecError { codec: Codec::Zstd, fault: CodecFault::Encoder("out of order".into()) })
        });
        assert!(error.unwrap_err().contains("out of order"));
        let error = contained::<()>(|| panic!("index out of bounds"));
        assert_eq!(&*error.unwrap_err(), "the codec panicked: index out of bounds");
    }

    #[test]
    fn what_saves_nothing_is_no_failure() {
        let plain = Plain::Shared(Payload::from_iter([Bytes::from_static(&[0; 100])]));
        let lz4 = Compression::new(Codec::Lz4);
        let len = squeeze(lz4, &plain, 100).unwrap().unwrap().len();
        assert!(squeeze(lz4, &plain, len).unwrap().is_none());
        assert!(squeeze(lz4, &plain, len + 1).unwrap().is_some());
    }

    /// Chunks of 1, 2 and 4 KiB, full of records.
    fn own(memory: &Arc<Memory>) -> Plain {
        let chunks = [1 << 10, 2 << 10, 4 << 10].map(|capacity| {
            let mut chunk = memory.chunk(capacity, 0, Funds::Budget).unwrap();
            chunk.put(&vec![1; capacity]);
            chunk
        });
        Plain::Own(chunks.into_iter().collect(), Vec::new())
    }

    #[test]
    fn what_is_compressed_takes_the_records_own_chunks_and_gives_back_the_others() {
        let memory = Memory::new(1 << 20);
        let text: Vec<u8> = (0..=250).cycle().take(200_000).collect();
        for (len, capacity) in [(1, 1 << 10), (1 << 10, 1 << 10), (1025, 3 << 10), (3 << 10, 3 << 10), (7000, 7 << 10)]
        {
            let written = own(&memory).overwritten(&text[..len], &memory);
            assert_eq!((&written.concat()[..], memory.usage().used), (&text[..len], capacity));
            drop(written);
            assert_eq!(memory.usage().used, 0);
        }
        for (len, capacity) in [(5000, 8 << 10), (60_000, 100_000)] {
            let measured = memory.chunk(100_000, 0, Funds::Budget).into_iter().collect();
            let written = Plain::Own(measured, Vec::new()).overwritten(&text[..len], &memory);
            assert_eq!((&written.concat()[..], memory.usage().used), (&text[..len], capacity));
        }
        // With lent values there is less room in chunks than there were bytes; and none in those that somebody else reads.
        for (is_own, len, capacity) in
            [(true, 8 << 10, 8 << 10), (true, 200_000, (7 + 3 * 64) << 10), (false, 5000, 8 << 10)]
        {
            let plain = if is_own { own(&memory) } else { Plain::Shared(Payload::new()) };
            let written = plain.overwritten(&text[..len], &memory);
            assert!(written.concat() == text[..len]);
            assert_eq!(memory.usage().used, capacity, "{len}");
        }
    }
}

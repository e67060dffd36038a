//! Fixed-size blocks out of chunks of any size.

/// Hands the bytes of `input` to `each` in blocks of `size`, the last one possibly shorter, none of them empty.
///
/// A block that lies in one chunk is handed on where it is; only what spans chunks is gathered in `scratch`.
pub(super) fn for_each<E>(
    input: &[impl AsRef<[u8]>],
    size: usize,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    scratch.clear();
    for (at, chunk) in input.iter().enumerate() {
        let mut rest = chunk.as_ref();
        if !scratch.is_empty() {
            let (front, back) = rest.split_at(rest.len().min(size - scratch.len()));
            scratch.extend_from_slice(front);
            rest = back;
            if scratch.len() < size {
                continue;
            }
            each(scratch)?;
            scratch.clear();
        }
        while let Some((block, back)) = rest.split_at_checked(size) {
            each(block)?;
            rest = back;
        }
        if at + 1 == input.len() && !rest.is_empty() {
            each(rest)?;
        } else {
            scratch.extend_from_slice(rest);
        }
    }
    if scratch.is_empty() { Ok(()) } else { each(scratch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_full_but_for_the_last_whatever_the_chunks() {
        let bytes: Vec<u8> = (0..=255).collect();
        for chunk_len in 1..40 {
            let mut chunks: Vec<&[u8]> = bytes.chunks(chunk_len).collect();
            chunks.insert(chunks.len() / 2, &[]);
            for with_empty_end in [false, true] {
                if with_empty_end {
                    chunks.push(&[]);
                }
                for size in [1, 7, 16, 128, 256, 300] {
                    let mut blocks = Vec::new();
                    let done: Result<(), ()> = for_each(&chunks, size, &mut Vec::new(), |block| {
                        blocks.push(block.to_vec());
                        Ok(())
                    });
                    done.unwrap();
                    let expected: Vec<Vec<u8>> = bytes.chunks(size).map(<[u8]>::to_vec).collect();
                    assert_eq!(blocks, expected, "chunks of {chunk_len}, blocks of {size}");
                }
            }
        }
    }
}

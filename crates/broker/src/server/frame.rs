//! Frames in and out.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use milena_wire::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const SIZE_PREFIX: usize = 4;
/// What is read at a time while no frame has begun.
const CHUNK: usize = 256 * 1024;
/// The buffer grows when a frame needs more and less than this is left.
const ROOM_MIN: usize = 64 * 1024;
/// Reserved at most on the word of a size prefix; for a larger frame the buffer grows with what has come.
const RESERVE_MAX: usize = 16 * 1024 * 1024;
/// Slices given to one system call.
const SLICES_MAX: usize = 64;

/// The next frame without its size; `None` at the end of the stream.
///
/// # Errors
///
/// `InvalidData` for a size that is negative or above `max`, `UnexpectedEof` inside a frame, or what the stream says.
///
/// # Cancel safety
///
/// What has been read stays in `input`.
pub(super) async fn read<S>(stream: &mut S, input: &mut BytesMut, max: usize) -> io::Result<Option<Bytes>>
where
    S: AsyncRead + Unpin,
{
    loop {
        let mut missing = CHUNK;
        if let Some(prefix) = input.first_chunk::<SIZE_PREFIX>() {
            let size = usize::try_from(i32::from_be_bytes(*prefix)).ok().filter(|size| *size <= max);
            let size = size.ok_or(io::ErrorKind::InvalidData)?;
            if input.len() >= SIZE_PREFIX + size {
                input.advance(SIZE_PREFIX);
                return Ok(Some(input.split_to(size).freeze()));
            }
            missing = SIZE_PREFIX + size - input.len();
        }
        let free = input.capacity() - input.len();
        if free < missing && free < ROOM_MIN {
            input.reserve(missing.min(RESERVE_MAX.max(input.len())));
        }
        if stream.read_buf(input).await? == 0 {
            return if input.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// Writes a whole frame.
///
/// # Errors
///
/// What the stream says.
///
/// # Cancel safety
///
/// None: part of the frame may have been written.
pub(super) async fn write<S>(stream: &mut S, frame: &Frame) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let parts = frame.parts();
    let (mut at, mut inside) = (0, 0);
    while at < parts.len() {
        let head = IoSlice::new(&parts[at][inside..]);
        let tail = parts[at + 1..].iter().take(SLICES_MAX - 1).map(|part| IoSlice::new(part));
        let slices: Vec<IoSlice<'_>> = std::iter::once(head).chain(tail).collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while at < parts.len() && written >= parts[at].len() - inside {
            written -= parts[at].len() - inside;
            at += 1;
            inside = 0;
        }
        inside += written;
    }
    stream.flush().await
}

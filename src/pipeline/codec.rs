//! `Content-Encoding` (RFC 9110 section 8.4): decoding for the scanner, whole and in pieces.
//!
//! Everything decoded is bounded: a small body that unpacks to more than the limit is an error, not memory.

use std::io::{self, Read, Write};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Why a body could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    /// An encoding nobody here can decode.
    #[error("content-encoding is not one of gzip, deflate, br, zstd")]
    Unknown,
    /// The bytes are not what the header says.
    #[error("the body is not what its content-encoding says")]
    Damaged,
    /// The decoded body is over the limit.
    #[error("the decoded body is over the limit")]
    TooLarge,
}

/// One encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The encodings of a message in the order they were applied; empty for none.
pub(super) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, CodecError> {
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().map_err(|_| CodecError::Unknown)?.split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Coding::Gzip),
                "deflate" => found.push(Coding::Deflate),
                "br" => found.push(Coding::Brotli),
                "zstd" => found.push(Coding::Zstd),
                _ => return Err(CodecError::Unknown),
            }
        }
    }
    Ok(found)
}

/// Undoes `codings`, last applied first, never giving more than `limit` bytes. Every coding must use its input up:
/// what stands behind the end of a compressed stream would reach the other side without having been scanned.
pub(super) fn decode(codings: &[Coding], body: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = body.to_vec();
    for coding in codings.iter().rev() {
        bytes = match coding {
            Coding::Gzip => drain(flate2::bufread::MultiGzDecoder::new(&bytes[..]), limit)?,
            Coding::Deflate if is_zlib(&bytes) => {
                let mut decoder = flate2::bufread::ZlibDecoder::new(&bytes[..]);
                let plain = drain(&mut decoder, limit)?;
                used_up(decoder.into_inner(), plain)?
            }
            Coding::Deflate => {
                let mut decoder = flate2::bufread::DeflateDecoder::new(&bytes[..]);
                let plain = drain(&mut decoder, limit)?;
                used_up(decoder.into_inner(), plain)?
            }
            Coding::Brotli => brotli(&bytes, limit)?,
            Coding::Zstd => zstd(&bytes, limit)?,
        };
    }
    Ok(bytes)
}

fn drain(reader: impl Read, limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| CodecError::Damaged)?;
    if read > limit { Err(CodecError::TooLarge) } else { Ok(bytes) }
}

fn used_up(rest: &[u8], plain: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    if rest.is_empty() { Ok(plain) } else { Err(CodecError::Damaged) }
}

/// The writer refuses input behind the stream's end.
fn brotli(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut decoder = brotli_decompressor::DecompressorWriter::new(Sink::new(limit), BUFFER_BYTES);
    let fault = |decoder: &brotli_decompressor::DecompressorWriter<Sink>| decoder.get_ref().fault();
    if decoder.write_all(bytes).is_err() || decoder.close().is_err() {
        return Err(fault(&decoder));
    }
    Ok(std::mem::take(&mut decoder.get_mut().bytes))
}

/// One frame after the other, as zstd readers do.
fn zstd(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let (mut rest, mut plain) = (bytes, Vec::new());
    while !rest.is_empty() || plain.is_empty() {
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(|_| CodecError::Damaged)?;
        plain.extend(drain(decoder, limit - plain.len().min(limit))?);
        if rest.is_empty() {
            break;
        }
    }
    Ok(plain)
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

/// Takes decoded bytes up to a limit, and fails at the first one over it: before it is memory.
pub(super) struct Sink {
    bytes: Vec<u8>,
    limit: usize,
    over: bool,
}

impl Sink {
    fn new(limit: usize) -> Self {
        Sink { bytes: Vec::new(), limit, over: false }
    }

    fn fault(&self) -> CodecError {
        if self.over { CodecError::TooLarge } else { CodecError::Damaged }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.over = true;
            return Err(io::Error::other("over the limit"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a body that arrives in pieces.
pub(super) enum Pieces {
    /// Nothing to undo.
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Sink>>),
    Zlib(Box<flate2::write::ZlibDecoder<Sink>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
}

impl Pieces {
    /// A decoder for `codings`; `None` where they cannot be undone in pieces (zstd, or more than one).
    pub(super) fn new(codings: &[Coding]) -> Option<Self> {
        let sink = || Sink::new(PIECE_BYTES_MAX);
        match codings {
            [] => Some(Pieces::Plain),
            [Coding::Gzip] => Some(Pieces::Gzip(Box::new(flate2::write::MultiGzDecoder::new(sink())))),
            [Coding::Deflate] => Some(Pieces::Zlib(Box::new(flate2::write::ZlibDecoder::new(sink())))),
            [Coding::Brotli] => {
                let writer = brotli_decompressor::DecompressorWriter::new(sink(), BUFFER_BYTES);
                Some(Pieces::Brotli(Box::new(writer)))
            }
            _ => None,
        }
    }

    /// What the next bytes decode to.
    pub(super) fn push(&mut self, bytes: Bytes) -> Result<Bytes, CodecError> {
        let (written, sink) = match self {
            Pieces::Plain => return Ok(bytes),
            Pieces::Gzip(decoder) => (decoder.write_all(&bytes).and_then(|()| decoder.flush()), decoder.get_mut()),
            Pieces::Zlib(decoder) => (decoder.write_all(&bytes).and_then(|()| decoder.flush()), decoder.get_mut()),
            Pieces::Brotli(decoder) => (decoder.write_all(&bytes).and_then(|()| decoder.flush()), decoder.get_mut()),
        };
        if written.is_err() {
            return Err(sink.fault());
        }
        Ok(std::mem::take(&mut sink.bytes).into())
    }

    /// At the end of the body: whether the compressed stream was whole.
    pub(super) fn is_complete(&mut self) -> bool {
        match self {
            Pieces::Plain => true,
            Pieces::Gzip(decoder) => decoder.try_finish().is_ok(),
            Pieces::Zlib(decoder) => decoder.try_finish().is_ok(),
            Pieces::Brotli(decoder) => decoder.close().is_ok(),
        }
    }
}

/// Working buffer of a brotli decoder, bytes.
const BUFFER_BYTES: usize = 8 * 1024;

/// Most that one received piece of a stream may unpack to, bytes: 16 KiB reads at a ratio of 1,000.
const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn gzip_is_undone_whole_and_in_pieces() {
        let packed = gzip(b"hello hello hello");
        assert_eq!(decode(&[Coding::Gzip], &packed, 100).expect("decodes"), b"hello hello hello");
        let mut pieces = Pieces::new(&[Coding::Gzip]).expect("in pieces");
        let mut out = Vec::new();
        for byte in packed {
            out.extend_from_slice(&pieces.push(vec![byte].into()).expect("decodes"));
        }
        assert_eq!(out, b"hello hello hello");
    }

    #[test]
    fn nothing_may_stand_behind_a_compressed_stream() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"scanned").expect("memory");
        let mut body = zlib.finish().expect("memory");
        assert_eq!(decode(&[Coding::Deflate], &body, 100).expect("decodes"), b"scanned");
        body.extend_from_slice(b" not scanned");
        assert_eq!(decode(&[Coding::Deflate], &body, 100), Err(CodecError::Damaged));
        let mut body = gzip(b"scanned");
        body.extend_from_slice(b" not scanned");
        assert_eq!(decode(&[Coding::Gzip], &body, 100), Err(CodecError::Damaged));
        let zstd = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
        let two = [zstd(b"one "), zstd(b"two")].concat();
        assert_eq!(decode(&[Coding::Zstd], &two, 100).expect("both frames"), b"one two");
        assert!(decode(&[Coding::Zstd], &[zstd(b"one"), b" x".to_vec()].concat(), 100).is_err());
    }

    #[test]
    fn a_stream_that_unpacks_to_too_much_fails_before_it_is_memory() {
        let mut pieces = Pieces::new(&[Coding::Gzip]).expect("in pieces");
        let bomb = gzip(&vec![0; PIECE_BYTES_MAX + 1]);
        assert_eq!(pieces.push(bomb.into()), Err(CodecError::TooLarge));
    }

    #[test]
    fn a_bomb_is_refused_and_damage_is_told() {
        assert_eq!(decode(&[Coding::Gzip], &gzip(&[0; 100_000]), 1000), Err(CodecError::TooLarge));
        assert_eq!(decode(&[Coding::Gzip], b"not gzip", 1000), Err(CodecError::Damaged));
        assert_eq!(decode(&[Coding::Zstd], b"not zstd", 1000), Err(CodecError::Damaged));
    }
}

//! `Content-Encoding` (RFC 9110 section 8.4): decoding for the scanner, whole and in pieces.
//!
//! Everything decoded is bounded: a small body that unpacks to more than the limit is an error, not memory.

use std::io::{Read, Write};

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

/// Undoes `codings`, last applied first, never giving more than `limit` bytes.
pub(super) fn decode(codings: &[Coding], body: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = body.to_vec();
    for coding in codings.iter().rev() {
        bytes = match coding {
            Coding::Gzip => drain(flate2::read::MultiGzDecoder::new(&bytes[..]), limit)?,
            Coding::Deflate if is_zlib(&bytes) => drain(flate2::read::ZlibDecoder::new(&bytes[..]), limit)?,
            Coding::Deflate => drain(flate2::read::DeflateDecoder::new(&bytes[..]), limit)?,
            Coding::Brotli => drain(brotli_decompressor::Decompressor::new(&bytes[..], BUFFER_BYTES), limit)?,
            Coding::Zstd => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(&bytes[..]).map_err(|_| CodecError::Damaged)?;
                drain(decoder, limit)?
            }
        };
    }
    Ok(bytes)
}

fn drain(reader: impl Read, limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| CodecError::Damaged)?;
    if read > limit { Err(CodecError::TooLarge) } else { Ok(bytes) }
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

/// Decodes a body that arrives in pieces.
pub(super) enum Pieces {
    /// Nothing to undo.
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<flate2::write::ZlibDecoder<Vec<u8>>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Vec<u8>>>),
}

impl Pieces {
    /// A decoder for `codings`; `None` where they cannot be undone in pieces (zstd, or more than one).
    pub(super) fn new(codings: &[Coding]) -> Option<Self> {
        match codings {
            [] => Some(Pieces::Plain),
            [Coding::Gzip] => Some(Pieces::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))),
            [Coding::Deflate] => Some(Pieces::Zlib(Box::new(flate2::write::ZlibDecoder::new(Vec::new())))),
            [Coding::Brotli] => {
                let writer = brotli_decompressor::DecompressorWriter::new(Vec::new(), BUFFER_BYTES);
                Some(Pieces::Brotli(Box::new(writer)))
            }
            _ => None,
        }
    }

    /// What the next bytes decode to.
    pub(super) fn push(&mut self, bytes: bytes::Bytes) -> Result<bytes::Bytes, CodecError> {
        let damaged = |_| CodecError::Damaged;
        let out = match self {
            Pieces::Plain => return Ok(bytes),
            Pieces::Gzip(decoder) => {
                decoder.write_all(&bytes).and_then(|()| decoder.flush()).map_err(damaged)?;
                std::mem::take(decoder.get_mut())
            }
            Pieces::Zlib(decoder) => {
                decoder.write_all(&bytes).and_then(|()| decoder.flush()).map_err(damaged)?;
                std::mem::take(decoder.get_mut())
            }
            Pieces::Brotli(decoder) => {
                decoder.write_all(&bytes).and_then(|()| decoder.flush()).map_err(damaged)?;
                std::mem::take(decoder.get_mut())
            }
        };
        if out.len() > PIECE_BYTES_MAX { Err(CodecError::TooLarge) } else { Ok(out.into()) }
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
    fn a_bomb_is_refused_and_damage_is_told() {
        assert_eq!(decode(&[Coding::Gzip], &gzip(&[0; 100_000]), 1000), Err(CodecError::TooLarge));
        assert_eq!(decode(&[Coding::Gzip], b"not gzip", 1000), Err(CodecError::Damaged));
        assert_eq!(decode(&[Coding::Zstd], b"not zstd", 1000), Err(CodecError::Damaged));
    }
}

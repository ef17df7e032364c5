//! Opens a file that may be compressed, by its first bytes and never by its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use zip::ZipArchive;

use super::error::DataError;

const BUFFER: usize = 1 << 18;
/// Decoders may take this much memory for their window: `xz -9` needs 65 MiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Gzip,
    Xz,
    Zstd,
    Zip,
}

impl Format {
    fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame may come first (pzstd, seekable zstd).
            [first, 0x2a, 0x4d, 0x18, ..] if first >> 4 == 5 => Self::Zstd,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ => Self::Plain,
        }
    }

    /// Turns a read error into one that names the file; for a compressed file it is the data that
    /// is wrong, for a plain one the file system.
    pub(super) fn error(self, path: &Path, line: u64, source: io::Error) -> DataError {
        let format = match self {
            Self::Plain => return DataError::io(path, source),
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        };
        DataError::Compressed {
            path: path.to_owned(),
            format,
            line,
            source,
        }
    }
}

/// Opens `path` and hands `read` the plain bytes as a stream, and the format for its errors.
pub(super) fn with_plain_bytes<T>(
    path: &Path,
    read: impl FnOnce(&mut dyn BufRead, Format) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let io = |source| DataError::io(path, source);
    let mut file = File::open(path).map_err(io)?;
    let mut head = Vec::new();
    file.by_ref().take(6).read_to_end(&mut head).map_err(io)?;
    file.rewind().map_err(io)?;
    let format = Format::sniff(&head);
    let mut file = BufReader::with_capacity(BUFFER, file);
    match format {
        Format::Plain => read(&mut file, format),
        Format::Gzip => read(
            &mut buffered(flate2::bufread::MultiGzDecoder::new(file)),
            format,
        ),
        Format::Xz => {
            let xz = lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB);
            read(&mut buffered(xz), format)
        }
        Format::Zstd => read(&mut buffered(ZstdFrames::new(file)), format),
        Format::Zip => {
            let failed = |error: zip::result::ZipError| {
                format.error(path, 0, io::Error::new(io::ErrorKind::InvalidData, error))
            };
            let mut archive = ZipArchive::new(file).map_err(failed)?;
            let member = csv_member(&archive).map_err(|names| DataError::ZipMembers {
                path: path.to_owned(),
                found: super::error::excerpt(names.as_bytes()),
            })?;
            let entry = archive.by_index(member).map_err(failed)?;
            read(&mut buffered(entry), format)
        }
    }
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER, reader)
}

/// The archive member to read: the data set by its published name, or the only CSV there is.
/// The error lists what was found.
fn csv_member<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<usize, String> {
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let Some(Ok(name)) = archive.name_for_index(index) else {
            continue;
        };
        let base = name
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        // macOS adds a `__MACOSX/._name.csv` twin for each file.
        if base.ends_with(".csv") && !base.starts_with('.') {
            members.push((index, base));
        }
    }
    if let [(index, _)] = members[..] {
        return Ok(index);
    }
    ["fer2013.csv", "icml_face_data.csv"]
        .iter()
        .find_map(|known| members.iter().find(|(_, base)| base == known))
        .map(|(index, _)| *index)
        .ok_or_else(|| {
            let names: Vec<String> = members.into_iter().map(|(_, base)| base).collect();
            if names.is_empty() {
                "no CSV".to_owned()
            } else {
                names.join(", ")
            }
        })
}

/// Reads any number of zstd frames, skippable ones too, and checks their checksums; ruzstd's own
/// streaming reader stops after the first frame.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            in_frame: false,
        }
    }

    fn read_frame(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            self.decoder
                .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(invalid)?;
        }
        self.decoder.read(out)
    }

    fn check_frame(&self) -> io::Result<()> {
        match self.decoder.get_checksum_from_data() {
            Some(stored) if self.decoder.get_calculated_checksum() != Some(stored) => {
                Err(invalid("the frame's checksum does not match"))
            }
            _ => Ok(()),
        }
    }

    fn next_frame(&mut self) -> io::Result<()> {
        match self.decoder.reset(&mut self.source) {
            Ok(()) => {
                self.in_frame = true;
                Ok(())
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
                if skipped == length {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            }
            Err(error) => Err(invalid(error)),
        }
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.in_frame {
                let count = self.read_frame(out)?;
                if count > 0 {
                    return Ok(count);
                }
                self.check_frame()?;
                self.in_frame = false;
            }
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.next_frame()?;
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

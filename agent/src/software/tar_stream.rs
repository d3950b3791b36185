//! Reads a tar archive front to back in constant memory, believing nothing of it: no header may make us allocate more
//! than a fixed amount.

use std::io::{self, Read};

use tar::Header;

const BLOCK: u64 = 512;
/// The longest name or set of PAX records that is accepted.
const LONGEST_EXTENSION: u64 = 64 * 1024;

/// An archive being read; reading from it gives the content of the entry that `next_entry` returned last.
pub(super) struct TarStream<R> {
    reader: R,
    position: u64,
    /// What is left of the content of the current entry, and of the zeros after it.
    content: u64,
    padding: u64,
}

/// What an archive says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    /// What a link points at.
    pub(super) link: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
    pub(super) size: u64,
    /// Where the content begins in the archive.
    pub(super) position: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Symlink,
    HardLink,
    Device,
    Pipe,
}

/// What the extension headers before an entry say.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> TarStream<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            position: 0,
            content: 0,
            padding: 0,
        }
    }

    /// Goes on to the next entry; nothing at the end.
    pub(super) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = header.entry_size()?;
            self.expect(size)?;
            match header.as_bytes()[156] {
                b'x' => self.read_pax(size, &mut extension)?,
                b'L' => extension.path = Some(self.read_long_name(size)?),
                b'K' => extension.link = Some(self.read_long_name(size)?),
                // Records for all entries (a version's name, mostly) and labels of tapes.
                b'g' | b'V' => {}
                kind => {
                    self.expect(extension.size.unwrap_or(size))?;
                    return self.entry(&header, kind, extension).map(Some);
                }
            }
        }
    }

    fn entry(&mut self, header: &Header, kind: u8, extension: Extension) -> io::Result<Entry> {
        let kind = match kind {
            b'0' | b'\0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' | b'4' => Kind::Device,
            b'5' => Kind::Folder,
            b'6' => Kind::Pipe,
            other => {
                let kind = char::from(other).escape_default();
                return Err(invalid(format!("an entry of unknown kind `{kind}`")));
            }
        };
        if kind != Kind::File {
            // Some writers give links the size of what they point at; no content follows.
            self.content = 0;
            self.padding = 0;
        }
        let own_link = || header.link_name_bytes().unwrap_or_default().into_owned();
        Ok(Entry {
            path: extension
                .path
                .unwrap_or_else(|| header.path_bytes().into_owned()),
            link: extension.link.unwrap_or_else(own_link),
            kind,
            mode: header.mode()?,
            uid: header.uid().unwrap_or(0),
            gid: header.gid().unwrap_or(0),
            mtime: header.mtime().unwrap_or(0),
            size: self.content,
            position: self.position,
        })
    }

    /// Reads a header, or nothing at the end of the archive.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        let mut filled = 0;
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        self.position += BLOCK;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let counted = bytes.iter().enumerate().map(|(at, byte)| {
            let is_sum = (148..156).contains(&at);
            u32::from(if is_sum { b' ' } else { *byte })
        });
        if header.cksum()? != counted.sum::<u32>() {
            return Err(invalid("a header's sum is wrong".to_owned()));
        }
        Ok(Some(header))
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
        // The sum of all sizes must stay a position in a file.
        if size > i64::MAX as u64 / 4 {
            return Err(invalid("an entry is impossibly long".to_owned()));
        }
        Ok(())
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        let rest = self.content + self.padding;
        let skipped = io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())?;
        self.position += skipped;
        self.content = 0;
        self.padding = 0;
        if skipped < rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn read_all(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > LONGEST_EXTENSION {
            return Err(invalid(format!("a name or attributes of {size} bytes")));
        }
        let mut content = Vec::new();
        self.by_ref().take(size).read_to_end(&mut content)?;
        Ok(content)
    }

    fn read_long_name(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut name = self.read_all(size)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn read_pax(&mut self, size: u64, extension: &mut Extension) -> io::Result<()> {
        let records = self.read_all(size)?;
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (key, value) = pax_record(&mut rest)
                .ok_or_else(|| invalid("malformed PAX attributes".to_owned()))?;
            match key {
                b"path" => extension.path = Some(value.to_owned()),
                b"linkpath" => extension.link = Some(value.to_owned()),
                b"size" => extension.size = Some(number(value)?),
                b"GNU.sparse.major" | b"GNU.sparse.map" => {
                    return Err(invalid("a sparse file, which is not supported".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.by_ref().take(self.content).read(buffer)?;
        if count == 0 && self.content > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

/// Takes `LENGTH KEY=VALUE\n` off the front; the length counts all of it.
fn pax_record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    *rest = rest.get(length..)?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..]))
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| invalid("a size that is no number".to_owned()))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

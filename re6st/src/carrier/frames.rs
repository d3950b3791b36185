//! Datagrams in a stream: two bytes of length in network byte order, then the datagram. Pure.

use std::io;

use tokio_util::bytes::BytesMut;
use tokio_util::codec::Decoder;

/// WireGuard's shortest datagram: the header and the tag of a message without content.
pub(super) const SHORTEST: usize = 32;
/// The longest that is carried, which no Ethernet exceeds: those of our interfaces have about 1,500 bytes.
pub(crate) const LONGEST: usize = 9216;
const HEAD: usize = 2;

/// What is not a stream of datagrams.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    /// It is shorter than any of WireGuard's.
    #[error("a datagram of {0} bytes is shorter than the {SHORTEST} of WireGuard's shortest")]
    Short(usize),
    /// It is longer than any of WireGuard's.
    #[error("a datagram of {0} bytes is longer than the {LONGEST} that are carried")]
    Long(usize),
    /// The stream ended in the middle of it.
    #[error("the stream ended in the middle of a datagram")]
    Cut,
    /// The stream broke.
    #[error("the stream broke")]
    Stream(#[source] io::Error),
}

impl From<io::Error> for BadFrame {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

/// Reads datagrams from a stream, however it is split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames;

impl Decoder for Frames {
    type Item = BytesMut;
    type Error = BadFrame;

    fn decode(&mut self, read: &mut BytesMut) -> Result<Option<BytesMut>, BadFrame> {
        let Some(head) = read.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*head));
        match length {
            ..SHORTEST => return Err(BadFrame::Short(length)),
            SHORTEST..=LONGEST => {}
            _ => return Err(BadFrame::Long(length)),
        }
        let whole = HEAD + length;
        if read.len() < whole {
            read.reserve(whole - read.len());
            return Ok(None);
        }
        let mut frame = read.split_to(whole);
        Ok(Some(frame.split_off(HEAD)))
    }

    fn decode_eof(&mut self, read: &mut BytesMut) -> Result<Option<BytesMut>, BadFrame> {
        match self.decode(read)? {
            None if !read.is_empty() => Err(BadFrame::Cut),
            decoded => Ok(decoded),
        }
    }
}

/// Appends a datagram to what shall be written; one that is none of WireGuard's is left out.
pub(super) fn push(datagram: &[u8], onto: &mut Vec<u8>) {
    if let Ok(length) = u16::try_from(datagram.len())
        && (SHORTEST..=LONGEST).contains(&datagram.len())
    {
        onto.extend(length.to_be_bytes());
        onto.extend(datagram);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads what comes in these pieces, and how it ends.
    fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), BadFrame>) {
        let (mut datagrams, mut buffer) = (Vec::new(), BytesMut::new());
        let mut take = |buffer: &mut BytesMut, is_end| {
            loop {
                let decoded = match is_end {
                    true => Frames.decode_eof(buffer),
                    false => Frames.decode(buffer),
                }?;
                match decoded {
                    Some(datagram) => datagrams.push(datagram.to_vec()),
                    None => return Ok(()),
                }
            }
        };
        for piece in pieces {
            buffer.extend_from_slice(piece);
            if let Err(err) = take(&mut buffer, false) {
                return (datagrams, Err(err));
            }
        }
        let ended = take(&mut buffer, true);
        (datagrams, ended)
    }

    #[test]
    fn what_is_no_datagram_of_wireguards_ends_the_stream_with_a_word() {
        let datagram = [7; SHORTEST];
        let mut good = Vec::new();
        push(&datagram, &mut good);
        for (bad, words) in [
            (
                vec![0, 0],
                "a datagram of 0 bytes is shorter than the 32 of WireGuard's shortest",
            ),
            (
                vec![0, 31, 1],
                "a datagram of 31 bytes is shorter than the 32 of WireGuard's shortest",
            ),
            (
                vec![0xff, 0xff],
                "a datagram of 65535 bytes is longer than the 9216 that are carried",
            ),
            (
                b"GET / HTTP/1.1\r\n".to_vec(),
                "a datagram of 18245 bytes is longer than the 9216 that are carried",
            ),
            (vec![0], "the stream ended in the middle of a datagram"),
            (
                good[..good.len() - 1].to_vec(),
                "the stream ended in the middle of a datagram",
            ),
        ] {
            let (datagrams, ended) = read(&[&good, &bad]);
            assert_eq!(datagrams, [datagram.to_vec()], "what came before counts");
            assert_eq!(ended.unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn what_wireguard_never_sends_is_not_written() {
        let mut written = Vec::new();
        push(&[0; SHORTEST - 1], &mut written);
        push(&[0; LONGEST + 1], &mut written);
        assert!(written.is_empty());
        push(&[0; LONGEST], &mut written);
        assert_eq!(written.len(), HEAD + LONGEST);
    }

    proptest! {
        #[test]
        fn however_the_stream_is_split_the_datagrams_are_the_same(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), SHORTEST..200), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut stream = Vec::new();
            for datagram in &datagrams {
                push(datagram, &mut stream);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|to| &stream[std::mem::replace(&mut from, *to)..*to]).collect();
            let (read, ended) = read(&pieces);
            prop_assert_eq!(read, datagrams);
            prop_assert!(ended.is_ok());
        }

        #[test]
        fn whatever_comes_is_read_or_is_refused(stream in prop::collection::vec(any::<u8>(), 0..400)) {
            let (datagrams, ended) = read(&[&stream]);
            let read: usize = datagrams.iter().map(|datagram| HEAD + datagram.len()).sum();
            prop_assert_eq!(read == stream.len(), ended.is_ok());
        }
    }
}

//! What a segment begins with: where it belongs, so that a file in the wrong place is not taken for another.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::books::spool::Identity;

/// Its size; the first frame follows.
pub(in crate::books::spool) const HEADER_BYTES: u64 = 64;

const MAGIC: &[u8; 8] = b"FBSPOOL1";
/// Everything before the checksum.
const CHECKED_BYTES: usize = 60;

/// A segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::books::spool) struct Header {
    /// [`Self::FORMAT`], or that of an earlier version.
    pub(in crate::books::spool) format: u16,
    pub(in crate::books::spool) lane: u16,
    /// The segment's number.
    pub(in crate::books::spool) segment: u64,
    pub(in crate::books::spool) identity: Identity,
    /// To the millisecond.
    pub(in crate::books::spool) created_at: DateTime<Utc>,
}

/// What is there instead of a header.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::books::spool) enum NoHeader {
    /// Nothing was written there, or it was lost with the machine's power.
    Blank,
    Damaged,
    /// That of a later version.
    Newer,
}

impl Header {
    /// That of the segments that are made. Bodies of the second are no JSON any more: a version that knows the first alone must not open it.
    pub(in crate::books::spool) const FORMAT: u16 = 2;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHECKED_BYTES + 4);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(&self.lane.to_le_bytes());
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(self.identity.database.as_bytes());
        bytes.extend_from_slice(self.identity.proxy.as_bytes());
        bytes.extend_from_slice(&self.created_at.timestamp_millis().to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NoHeader> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(NoHeader::Blank);
        }
        let mut rest = bytes.get(..CHECKED_BYTES).ok_or(NoHeader::Damaged)?;
        let crc = u32::from_le_bytes(take(&mut &bytes[CHECKED_BYTES..])?);
        if take(&mut rest)? != *MAGIC || crc != crc32c::crc32c(&bytes[..CHECKED_BYTES]) {
            return Err(NoHeader::Damaged);
        }
        let format = u16::from_le_bytes(take(&mut rest)?);
        if format > Self::FORMAT {
            return Err(NoHeader::Newer);
        }
        Ok(Self {
            format,
            lane: u16::from_le_bytes(take(&mut rest)?),
            segment: u64::from_le_bytes(take(&mut rest)?),
            identity: Identity { database: Uuid::from_bytes(take(&mut rest)?), proxy: Uuid::from_bytes(take(&mut rest)?) },
            created_at: DateTime::from_timestamp_millis(i64::from_le_bytes(take(&mut rest)?)).ok_or(NoHeader::Damaged)?,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], NoHeader> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(NoHeader::Damaged)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let identity = Identity { database: Uuid::from_u128(1), proxy: Uuid::from_u128(2) };
        Header { format: Header::FORMAT, lane: 3, segment: 4, identity, created_at: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let bytes = header().encode();
        assert_eq!(u64::try_from(bytes.len()), Ok(HEADER_BYTES));
        assert_eq!(Header::decode(&bytes), Ok(header()));
    }

    #[test]
    fn a_damaged_header_says_nothing() {
        let bytes = header().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), Err(NoHeader::Damaged), "bit {bit}");
        }
        for end in 1..bytes.len() {
            assert_eq!(Header::decode(&bytes[..end]), Err(NoHeader::Damaged), "cut after {end} bytes");
        }
        assert_eq!(Header::decode(&[]), Err(NoHeader::Blank));
        assert_eq!(Header::decode(&[0; 64]), Err(NoHeader::Blank));
    }

    #[test]
    fn a_later_versions_header_is_known_as_one() {
        let mut bytes = header().encode();
        bytes[8] = 3;
        let crc = crc32c::crc32c(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(NoHeader::Newer));
    }
}

//! One record as it is in a segment: length, checksum, kind, version, call and body, and zeros up to the next multiple of 8.
//!
//! The length is that of what the checksum covers beside it, without the zeros: it is never 0, so that zeros are no frame. A frame has zero bytes in
//! it, and a body has none, so that no body can look like a frame to whoever searches for the next one behind a damaged one.

use domain::id::CallId;
use uuid::Uuid;

use crate::books::spool::error::AppendError;

/// Frames begin at multiples of it.
pub(super) const ALIGNMENT: u64 = 8;
/// Length and checksum.
pub(super) const PREFIX_BYTES: usize = 8;
/// Kind, version, two zeros and the call's id.
const FIXED_BYTES: usize = 20;
/// The most that the checksum covers.
const CHECKED_BYTES_MAX: usize = 1 << 20;
/// The longest body.
pub(in crate::books::spool) const BODY_BYTES_MAX: usize = CHECKED_BYTES_MAX - FIXED_BYTES;

/// What a record says of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was admitted.
    Intent,
    /// What it came to.
    Settlement,
}

impl Kind {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Settlement => "settlement",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Intent => 1,
            Self::Settlement => 2,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Intent),
            2 => Some(Self::Settlement),
            _ => None,
        }
    }
}

/// A record where it was read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::books::spool) struct Frame<'a> {
    /// `None` if this version knows no such kind.
    pub(in crate::books::spool) kind: Option<Kind>,
    pub(in crate::books::spool) version: u8,
    pub(in crate::books::spool) call: CallId,
    pub(in crate::books::spool) body: &'a [u8],
}

/// What a frame with such a body takes of its segment.
pub(in crate::books::spool) fn size_of(body_bytes: usize) -> u64 {
    let bytes = body_bytes.saturating_add(PREFIX_BYTES + FIXED_BYTES);
    u64::try_from(bytes).unwrap_or(u64::MAX).checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX)
}

/// The longest body of a frame that takes so many bytes.
pub(in crate::books::spool) fn body_bytes_in(frame_bytes: u64) -> usize {
    let aligned = frame_bytes - frame_bytes % ALIGNMENT;
    usize::try_from(aligned).unwrap_or(usize::MAX).saturating_sub(PREFIX_BYTES + FIXED_BYTES).min(BODY_BYTES_MAX)
}

/// Puts a frame into the buffer, behind others if there are any.
///
/// # Errors
/// [`AppendError::TooLarge`] if its body is longer than [`BODY_BYTES_MAX`].
pub(in crate::books::spool) fn encode(buffer: &mut Vec<u8>, kind: Kind, version: u8, call: CallId, body: &[u8]) -> Result<(), AppendError> {
    let too_large = AppendError::TooLarge { room: BODY_BYTES_MAX };
    if body.len() > BODY_BYTES_MAX {
        return Err(too_large);
    }
    let length = u32::try_from(FIXED_BYTES + body.len()).map_err(|_| too_large)?.to_le_bytes();
    let start = buffer.len();
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&[kind.byte(), version, 0, 0]);
    buffer.extend_from_slice(call.uuid().as_bytes());
    buffer.extend_from_slice(body);
    let crc = checksum(length, &buffer[start + PREFIX_BYTES..]);
    buffer[start + 4..start + PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(8), 0);
    Ok(())
}

/// The bytes of a frame without its zeros, if it can be one that begins so.
pub(super) fn unpadded_bytes(prefix: &[u8]) -> Option<usize> {
    let checked = usize::try_from(u32::from_le_bytes(*prefix.first_chunk()?)).ok()?;
    (FIXED_BYTES..=CHECKED_BYTES_MAX).contains(&checked).then_some(PREFIX_BYTES + checked)
}

/// Whether these bytes are a frame, as it was written.
pub(super) fn is_intact(unpadded: &[u8]) -> bool {
    let Some((length, rest)) = unpadded.split_first_chunk() else { return false };
    let Some((crc, checked)) = rest.split_first_chunk() else { return false };
    checksum(*length, checked) == u32::from_le_bytes(*crc)
}

/// Reads an intact frame.
pub(super) fn parse(unpadded: &[u8]) -> Option<Frame<'_>> {
    let ([kind, version, zeros @ ..], rest) = unpadded.get(PREFIX_BYTES..)?.split_first_chunk::<4>()?;
    let (call, body) = rest.split_first_chunk()?;
    // A later version may say something there, and what it says of the rest nobody here knows.
    let kind = if *zeros == [0, 0] { Kind::of(*kind) } else { None };
    Some(Frame { kind, version: *version, call: CallId::from_uuid(Uuid::from_bytes(*call)), body })
}

fn checksum(length: [u8; 4], checked: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), checked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(kind: Kind, version: u8, call: u128, body: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0xff; 8];
        encode(&mut buffer, kind, version, CallId::from_uuid(Uuid::from_u128(call)), body).expect("it is not too large");
        assert_eq!(buffer[..8], [0xff; 8], "what was there stays");
        buffer.split_off(8)
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written(settles: bool, version: u8, call: u128, body: Vec<u8>) {
            let kind = if settles { Kind::Settlement } else { Kind::Intent };
            let bytes = encoded(kind, version, call, &body);
            prop_assert_eq!(u64::try_from(bytes.len()), Ok(size_of(body.len())));
            let unpadded = &bytes[..unpadded_bytes(&bytes).expect("a length")];
            prop_assert!(bytes.len() - unpadded.len() < 8);
            let longest = body_bytes_in(size_of(body.len()));
            prop_assert!(longest >= body.len() && size_of(longest) == size_of(body.len()) && size_of(longest + 1) > size_of(longest));
            prop_assert!(is_intact(unpadded));
            let call = CallId::from_uuid(Uuid::from_u128(call));
            prop_assert_eq!(parse(unpadded), Some(Frame { kind: Some(kind), version, call, body: &body }));
        }

        #[test]
        fn a_flipped_bit_is_noticed(body: Vec<u8>, bit: prop::sample::Index) {
            let mut bytes = encoded(Kind::Intent, 1, 7, &body);
            let unpadded = 28 + body.len();
            let bit = bit.index(unpadded * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.resize(1 << 21, 0);
            let read = unpadded_bytes(&bytes).is_some_and(|length| is_intact(&bytes[..length]));
            prop_assert!(!read);
        }
    }

    #[test]
    fn a_body_is_bounded() {
        assert_eq!(encoded(Kind::Intent, 1, 1, &vec![b'x'; BODY_BYTES_MAX]).len(), 8 + (1 << 20));
        let longer = encode(&mut Vec::new(), Kind::Intent, 1, CallId::from_uuid(Uuid::nil()), &vec![b'x'; BODY_BYTES_MAX + 1]);
        assert!(matches!(longer, Err(AppendError::TooLarge { room: BODY_BYTES_MAX })));
    }

    #[test]
    fn the_layout_is_this() {
        let bytes = encoded(Kind::Settlement, 3, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10, b"{}");
        assert_eq!(bytes[..4], [22, 0, 0, 0]);
        assert_eq!(bytes[8..12], [2, 3, 0, 0]);
        assert_eq!(bytes[12..28], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(bytes[28..], [b'{', b'}', 0, 0]);
        let covered: Vec<u8> = [&bytes[..4], &bytes[8..30]].concat();
        assert_eq!(bytes[4..8], crc32c::crc32c(&covered).to_le_bytes());
    }
}

//! A lane's checkpoint: the position before which everything is settled and posted.
//!
//! It may lag behind, since what is read again is posted only once. So one that cannot be read costs time and nothing else.

use std::{fs, io, path::Path};

use super::{Durability, folder, position::Position};

const FILE: &str = "checkpoint";

/// Reads that of a lane's folder. Without one that can be read, everything is to be read.
pub(super) fn read(lane_folder: &Path) -> Option<Position> {
    let path = lane_folder.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a checkpoint of the spool cannot be read: beginning at the oldest segment");
            return None;
        }
    };
    let position = decode(&text);
    if position.is_none() {
        tracing::warn!(path = %path.display(), "a checkpoint of the spool is damaged: beginning at the oldest segment");
    }
    position
}

/// Writes it in place of the one before.
pub(super) fn write(lane_folder: &Path, position: Position, durability: Durability) -> io::Result<()> {
    folder::replace(&lane_folder.join(FILE), encode(position).as_bytes(), durability)
}

/// A line that a person can read: segment, offset, and the CRC32C of both.
fn encode(position: Position) -> String {
    let place = format!("{} {}", position.segment, position.offset);
    format!("{place} {:08x}\n", crc32c::crc32c(place.as_bytes()))
}

fn decode(text: &[u8]) -> Option<Position> {
    let text = str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let position = Position { segment: words.next()?.parse().ok()?, offset: words.next()?.parse().ok()? };
    // Written again, it must be the same to the last byte: so nothing else is taken for one.
    (encode(position) == text).then_some(position)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_checkpoint_is_read_as_it_was_written(segment: u64, offset: u64) {
            let position = Position { segment, offset };
            prop_assert_eq!(decode(encode(position).as_bytes()), Some(position));
        }

        #[test]
        fn a_checkpoint_with_a_flipped_bit_is_none(segment in 0_u64..100_000, offset: u64, bit: prop::sample::Index) {
            let mut text = encode(Position { segment, offset }).into_bytes();
            let bit = bit.index(text.len() * 8);
            text[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&text), None);
        }
    }

    #[test]
    fn half_a_checkpoint_is_none() {
        let text = encode(Position { segment: 12, offset: 4096 });
        for end in 0..text.len() {
            assert_eq!(decode(&text.as_bytes()[..end]), None);
        }
    }
}

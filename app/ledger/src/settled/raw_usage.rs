//! The upstream's usage object in few bytes. Such objects are alike but for their numbers, and there is one for each call: it is stored as what it differs
//! in from the forms that are known.

use std::{fmt, ops::Deref};

use lz4_flex::block;
use sqlx::{
    Database, Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo},
};

/// The forms that providers write usage in, as an LZ4 dictionary. What was stored is read with it: it never changes. More forms are a second file, and a
/// second version.
const FORMS_1: &[u8] = include_bytes!("usage_forms_1.jsonl");
/// The version, which is the first byte of what is stored.
const VERSION: u8 = 1;
/// The version and the length, before the block.
const HEAD_BYTES: usize = 5;
/// More than any answer that is read; a stored length beyond it was not written here.
const BYTES_MAX: usize = 1 << 24;

/// A usage object, byte for byte as the upstream sent it. Stored as a version, its length (four bytes, little-endian) and an LZ4 block.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct RawUsage(String);

impl RawUsage {
    fn compressed(&self) -> Vec<u8> {
        let mut stored = vec![VERSION];
        stored.extend(block::compress_prepend_size_with_dict(self.0.as_bytes(), FORMS_1));
        stored
    }

    fn decompressed(stored: &[u8]) -> Result<Self, BoxDynError> {
        let (head, compressed) = stored.split_at_checked(HEAD_BYTES).ok_or("a usage object without a head")?;
        if head[0] != VERSION {
            return Err("a usage object of a later version".into());
        }
        let length = usize::try_from(u32::from_le_bytes([head[1], head[2], head[3], head[4]]))?;
        if length > BYTES_MAX {
            return Err("a usage object longer than any".into());
        }
        let bytes = block::decompress_with_dict(compressed, length, FORMS_1)?;
        if bytes.len() != length {
            return Err("a usage object of another length".into());
        }
        Ok(Self(String::from_utf8(bytes)?))
    }
}

impl From<String> for RawUsage {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Deref for RawUsage {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RawUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Type<Postgres> for RawUsage {
    fn type_info() -> PgTypeInfo {
        <[u8] as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for RawUsage {
    fn array_type_info() -> PgTypeInfo {
        <Vec<u8> as PgHasArrayType>::array_type_info()
    }
}

impl<'q> Encode<'q, Postgres> for RawUsage {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <Vec<u8> as Encode<'q, Postgres>>::encode(self.compressed(), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for RawUsage {
    fn decode(value: <Postgres as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Self::decompressed(<&[u8] as Decode<'r, Postgres>>::decode(value)?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_forms_of_the_first_version_never_change() {
        let hex: String = Sha256::digest(FORMS_1).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "cdd1ace184e55d07a338b0879a4b5593ba4d9624bc236e808ec0c49cb329d7eb");
    }

    #[test]
    fn an_object_of_a_known_form_is_stored_in_few_bytes() {
        let usage = r#"{"prompt_tokens":3412,"completion_tokens":287,"total_tokens":3699,"prompt_tokens_details":{"cached_tokens":1664,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;
        let stored = RawUsage::from(usage.to_owned()).compressed();
        assert!(usage.len() > 250 && stored.len() < 60, "{}", stored.len());
    }

    #[test]
    fn what_was_not_stored_here_is_an_error() {
        let stored = RawUsage::from("{\"prompt_tokens\":7}".to_owned()).compressed();
        for place in 0..stored.len() {
            let mut changed = stored.clone();
            changed[place] ^= 0x55;
            assert!(RawUsage::decompressed(&changed).map_or(true, |read| &*read != "{\"prompt_tokens\":7}"), "{place}");
            assert!(RawUsage::decompressed(&stored[..place]).is_err(), "{place}");
        }
        let mut longer = stored;
        longer.push(7);
        assert!(RawUsage::decompressed(&longer).is_err());
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_it_was_stored(text in "(?s).{0,400}|(\"[a-z_]{1,20}\":[0-9]{1,5},){0,30}") {
            let stored = RawUsage::from(text.clone()).compressed();
            prop_assert_eq!(&*RawUsage::decompressed(&stored).unwrap(), text.as_str());
        }
    }
}

//! Numbers of bytes.

use std::{
    num::{IntErrorKind, ParseIntError},
    str::FromStr,
};

/// A number of bytes as people write it: `500M`, `20G`, in powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

impl FromStr for ByteCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let shift = match text[digits.len()..].trim().to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err("write a whole number of bytes, such as 500M or 20G".to_owned()),
        };
        let number: u64 = digits.parse().map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => "is too large".to_owned(),
            _ => "write a whole number of bytes, such as 500M or 20G".to_owned(),
        })?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| "is too large".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_people_do() {
        let bytes = |text: &str| text.parse::<ByteCount>().map(|ByteCount(bytes)| bytes);
        assert_eq!((bytes("7"), bytes("2k"), bytes("500M"), bytes("20 GiB")), (Ok(7), Ok(2 << 10), Ok(500 << 20), Ok(20 << 30)));
        for wrong in ["", "rubbish", "-5", "1.5G", "G"] {
            assert!(bytes(wrong).is_err_and(|problem| problem.contains("whole number")), "{wrong}");
        }
        assert_eq!(
            (bytes("99999999999999999999"), bytes("99999999999G")),
            (Err("is too large".to_owned()), Err("is too large".to_owned()))
        );
    }
}

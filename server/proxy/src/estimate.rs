//! Token counts where the upstream gave none: a tokenizer's count of what was sent and of what was delivered.

use bpe_openai::o200k_base;
use domain::tokens::Tokens;

/// Text that is tokenized exactly. Beyond it, the rest is taken to be like the beginning, so that a long text costs no more time than this.
pub const SAMPLE_BYTES: usize = 16 * 1024;

/// How many tokens this text is, by the tokenizer of OpenAI's current models.
#[must_use]
pub fn count(text: &str) -> Tokens {
    let sample = beginning(text, SAMPLE_BYTES);
    let counted = o200k_base().count(sample);
    if sample.len() == text.len() {
        return tokens(counted);
    }
    tokens((counted * text.len()).div_ceil(sample.len().max(1)))
}

/// The beginning of a text, of at most so many bytes, cut between characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max.min(text.len()))]
}

/// More than a call can have is a call's most.
fn tokens(count: usize) -> Tokens {
    Tokens::from_sum(i64::try_from(count).unwrap_or(i64::MAX).min(Tokens::MAX_PER_CALL))
}

/// What the model wrote so far. It is kept, up to a bound, and counted only if the upstream never says how much it was: most calls never pay for a
/// tokenizer.
#[derive(Debug, Default)]
pub struct DeliveredText {
    /// Not yet counted.
    text: Vec<u8>,
    counted: i64,
}

impl DeliveredText {
    /// Appends a stretch of UTF-8, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(SAMPLE_BYTES) {
            self.text.extend_from_slice(piece);
            if self.text.len() >= SAMPLE_BYTES {
                self.counted += self.count_kept();
                self.text.clear();
            }
        }
    }

    /// Whether nothing was delivered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counted == 0 && self.text.is_empty()
    }

    /// How many tokens it is.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        Tokens::from_sum(self.counted.saturating_add(self.count_kept()).min(Tokens::MAX_PER_CALL))
    }

    fn count_kept(&self) -> i64 {
        count(&String::from_utf8_lossy(&self.text)).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_counted_exactly() {
        assert_eq!(count(""), Tokens::ZERO);
        assert_eq!(count("Hello, world!").get(), 4);
    }

    #[test]
    fn a_long_text_is_taken_to_be_like_its_beginning() {
        let text = "one two three ".repeat(10_000);
        let exact = i64::try_from(o200k_base().count(text.as_str())).unwrap_or(0);
        assert!((count(&text).get() - exact).abs() <= exact / 100);
    }

    #[test]
    fn delivered_text_is_the_same_however_it_was_cut() {
        let text = "Größe \u{1f980} and more. ".repeat(100);
        let mut whole = DeliveredText::default();
        whole.push(text.as_bytes());
        let mut pieces = DeliveredText::default();
        text.as_bytes().chunks(3).for_each(|piece| pieces.push(piece));
        assert_eq!(whole.tokens(), pieces.tokens());
        assert_eq!(whole.tokens(), count(&text));
    }

    #[test]
    fn a_long_delivery_is_counted_as_it_grows() {
        let mut long = DeliveredText::default();
        let text = "word ".repeat(SAMPLE_BYTES);
        long.push(text.as_bytes());
        assert!((long.tokens().get() - i64::try_from(SAMPLE_BYTES).unwrap_or(0)).abs() < 20);
        assert!(long.text.len() < SAMPLE_BYTES);
    }
}

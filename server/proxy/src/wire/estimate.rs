//! Token counts where the upstream gave none: a tokenizer's count of what was sent and of what was delivered.

use bpe_openai::o200k_base;
use domain::tokens::Tokens;

/// Text that is tokenized exactly. Beyond it, the rest is taken to be like the beginning, so that a long text costs no more time than this.
pub(crate) const SAMPLE_BYTES: usize = 2 * 1024;

/// How many tokens this text is, by the tokenizer of OpenAI's current models.
#[must_use]
pub(crate) fn count(text: &str) -> Tokens {
    let sample = beginning(text, SAMPLE_BYTES);
    tokens(scaled(o200k_base().count(sample), sample.len(), text.len()))
}

/// So many tokens in the first bytes of a text, carried over to all of them.
fn scaled(counted: usize, of_bytes: usize, all_bytes: usize) -> usize {
    if of_bytes == all_bytes { counted } else { counted.saturating_mul(all_bytes).div_ceil(of_bytes.max(1)) }
}

/// The beginning of a text, of at most so many bytes, cut between characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max.min(text.len()))]
}

/// More than a call can have is a call's most.
fn tokens(count: usize) -> Tokens {
    Tokens::from_sum(i64::try_from(count).unwrap_or(i64::MAX).min(Tokens::MAX_PER_CALL))
}

/// How much of an answer is kept to be counted.
const KEPT_BYTES: usize = 2 * 1024;

/// What the model wrote so far. It is kept, up to a bound, and counted only if the upstream never says how much it was: most calls never pay for a
/// tokenizer. Beyond that bound, the rest is taken to be like what is kept.
#[derive(Debug, Default)]
pub(crate) struct DeliveredText {
    kept: Vec<u8>,
    /// How many bytes came after what is kept.
    beyond: usize,
}

impl DeliveredText {
    /// Appends a stretch of UTF-8, cut anywhere.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (kept, beyond) = bytes.split_at(bytes.len().min(KEPT_BYTES - self.kept.len()));
        self.kept.extend_from_slice(kept);
        self.beyond += beyond.len();
    }

    /// How many bytes it is.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.beyond
    }

    /// Whether nothing was delivered.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    /// How many tokens it is.
    #[must_use]
    pub(crate) fn tokens(&self) -> Tokens {
        let counted = o200k_base().count(&*String::from_utf8_lossy(&self.kept));
        tokens(scaled(counted, self.kept.len(), self.len()))
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
    fn a_long_delivery_is_counted_whole_without_being_kept_whole() {
        let words = KEPT_BYTES;
        let mut long = DeliveredText::default();
        " word".repeat(words).as_bytes().chunks(1_000).for_each(|piece| long.push(piece));
        let off = long.tokens().get() - i64::try_from(words).unwrap_or(0);
        assert!((0..10).contains(&off), "off by {off}");
        assert_eq!(long.kept.len(), KEPT_BYTES);
    }
}

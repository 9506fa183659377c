//! Token counts where the upstream gave none: a tokenizer's count of what was sent and of what was delivered.

use std::sync::OnceLock;

use bpe_openai::o200k_base;
use domain::tokens::Tokens;
use tokio::runtime::Handle;

/// Text that is tokenized exactly. Beyond it, the rest is taken to be like the beginning, so that a long text costs no more time than this.
const SAMPLE_BYTES: usize = 2 * 1024;

/// The beginning of a text, whose tokens are counted once, by the tokenizer of OpenAI's current models. That takes as long as some calls do: wherever
/// others wait for the same thread, it is [counted apart](Self::count_apart) before it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    bytes: Vec<u8>,
    counted: OnceLock<usize>,
}

impl Sample {
    /// Takes in what there is room for. Returns how many bytes that is.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = &bytes[..bytes.len().min(SAMPLE_BYTES - self.bytes.len())];
        self.bytes.extend_from_slice(taken);
        taken.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Has its tokens counted on a thread of this runtime that serves nobody.
    pub(crate) async fn count_apart(&self, runtime: &Handle) {
        if self.counted.get().is_none() {
            let bytes = self.bytes.clone();
            // Where the runtime has ended, whoever asks counts.
            if let Ok(counted) = runtime.spawn_blocking(move || count(&bytes)).await {
                let _ = self.counted.set(counted); // or somebody else has
            }
        }
    }

    /// How many tokens it is.
    pub(crate) fn tokens(&self) -> usize {
        *self.counted.get_or_init(|| count(&self.bytes))
    }
}

/// Has the tokenizer made, which takes a while, before anybody needs it.
pub(crate) fn warm_up() {
    count(b"warm");
}

fn count(text: &[u8]) -> usize {
    o200k_base().count(&*String::from_utf8_lossy(text))
}

/// So many tokens in the first bytes of a text, carried over to all of them.
fn scaled(counted: usize, of_bytes: usize, all_bytes: usize) -> usize {
    if of_bytes == all_bytes { counted } else { counted.saturating_mul(all_bytes).div_ceil(of_bytes.max(1)) }
}

/// More than a call can have is a call's most.
fn tokens(count: usize) -> Tokens {
    Tokens::from_sum(i64::try_from(count).unwrap_or(i64::MAX).min(Tokens::MAX_PER_CALL))
}

/// What the model wrote so far. It is kept, up to a bound, and counted only if the upstream never says how much it was: most calls never pay for a
/// tokenizer. Beyond that bound, the rest is taken to be like what is kept.
#[derive(Debug, Default)]
pub(crate) struct DeliveredText {
    pub(crate) kept: Sample,
    /// How many bytes came after what is kept.
    beyond: usize,
}

impl DeliveredText {
    /// Appends a stretch of UTF-8, cut anywhere.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.beyond += bytes.len() - self.kept.push(bytes);
    }

    /// How many bytes it is.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.beyond
    }

    /// Whether nothing was delivered.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.len() == 0
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> String {
        String::from_utf8_lossy(&self.kept.bytes).into_owned()
    }

    /// How many tokens it is.
    #[must_use]
    pub(crate) fn tokens(&self) -> Tokens {
        tokens(scaled(self.kept.tokens(), self.kept.len(), self.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(text: &str) -> DeliveredText {
        let mut delivered = DeliveredText::default();
        delivered.push(text.as_bytes());
        delivered
    }

    #[test]
    fn a_short_text_is_counted_exactly() {
        assert_eq!(delivered("").tokens(), Tokens::ZERO);
        assert_eq!(delivered("Hello, world!").tokens().get(), 4);
    }

    #[test]
    fn a_long_text_is_taken_to_be_like_its_beginning() {
        let text = "one two three ".repeat(10_000);
        let exact = i64::try_from(o200k_base().count(text.as_str())).unwrap_or(0);
        assert!((delivered(&text).tokens().get() - exact).abs() <= exact / 100);
    }

    #[tokio::test]
    async fn what_is_counted_apart_need_not_be_counted_again() {
        let text = delivered("Hello, world!");
        text.kept.count_apart(&Handle::current()).await;
        assert_eq!(text.kept.counted.get(), Some(&4));
        assert_eq!(text.tokens().get(), 4);
    }

    #[test]
    fn delivered_text_is_the_same_however_it_was_cut() {
        let text = "Größe \u{1f980} and more. ".repeat(100);
        let mut pieces = DeliveredText::default();
        text.as_bytes().chunks(3).for_each(|piece| pieces.push(piece));
        assert_eq!(delivered(&text).tokens(), pieces.tokens());
    }

    #[test]
    fn a_long_delivery_is_counted_whole_without_being_kept_whole() {
        let words = SAMPLE_BYTES;
        let mut long = DeliveredText::default();
        " word".repeat(words).as_bytes().chunks(1_000).for_each(|piece| long.push(piece));
        let off = long.tokens().get() - i64::try_from(words).unwrap_or(0);
        assert!((0..10).contains(&off), "off by {off}");
        assert_eq!(long.kept.len(), SAMPLE_BYTES);
    }
}

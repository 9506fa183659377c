//! Numbers that look random and are the same every time.

/// SplitMix64 (Steele, Lea, Flood 2014). Its own few lines, because a library may change its generator, and the demo's figures with it.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap_or(u64::MAX)).unwrap_or_default()
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.next() % span).unwrap_or_default()
    }

    /// True so many times in a thousand.
    pub(super) fn per_mille(&mut self, times: i64) -> bool {
        self.between(0, 999) < times
    }

    /// An index, each as likely as its weight says.
    pub(super) fn weighted<const N: usize>(&mut self, weights: [i64; N]) -> usize {
        let mut left = self.between(0, weights.iter().sum::<i64>() - 1);
        for (index, weight) in weights.into_iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        N - 1
    }

    /// The random part of an id.
    pub(super) fn id_bits(&mut self) -> [u8; 10] {
        let (high, low) = (self.next().to_be_bytes(), self.next().to_be_bytes());
        std::array::from_fn(|place| if place < 8 { high[place] } else { low[place - 8] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        // The first values of the reference implementation for the seed 1234567.
        let mut dice = Dice::new(1_234_567);
        assert_eq!([dice.next(), dice.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn every_side_comes_up() {
        let mut dice = Dice::new(1);
        let mut counts = [0; 3];
        for _ in 0..1_000 {
            counts[dice.weighted([1, 2, 7])] += 1;
        }
        assert!(counts[0] > 50 && counts[1] > counts[0] && counts[2] > counts[1], "{counts:?}");
    }
}

//! The y axis in integers: round ticks from zero.

/// Intervals between ticks, at most.
const INTERVALS_MAX: i64 = 4;

/// A scale from zero to the first tick that no bar exceeds.
pub(super) struct Scale {
    step: i64,
    top: i64,
}

impl Scale {
    /// A scale that holds `max`, with ticks at multiples of 1, 2 or 5 × 10ⁿ.
    pub(super) fn up_to(max: i64) -> Self {
        if max <= 0 {
            // Nothing but the ground: there is no figure to measure anything by.
            return Self { step: 1, top: 0 };
        }
        let enough = |step: &i64| step.saturating_mul(INTERVALS_MAX) >= max;
        let powers = std::iter::successors(Some(1_i64), |power| power.checked_mul(10));
        let step = powers.flat_map(|power| [1, 2, 5].map(|digit| power.saturating_mul(digit))).find(enough).unwrap_or(max);
        Self { step, top: (max - 1) / step * step + step }
    }

    /// The ticks, from zero.
    pub(super) fn ticks(&self) -> impl Iterator<Item = i64> {
        let step = self.step;
        (0..=self.top / step).map(move |tick| tick * step)
    }

    /// How far a value lies below the top of the picture.
    pub(super) fn below_top(&self, value: i64) -> String {
        parts(10_000 - self.parts_of(value))
    }

    /// The distance between two values. Both are placed first, so that stacked bars leave no gap.
    pub(super) fn between(&self, below: i64, above: i64) -> String {
        parts(self.parts_of(above) - self.parts_of(below))
    }

    fn parts_of(&self, value: i64) -> i128 {
        i128::from(value.clamp(0, self.top)) * 10_000 / i128::from(self.top.max(1))
    }
}

/// A share as a length in SVG: `12.34%`.
pub(super) fn percent(part: usize, whole: usize) -> String {
    parts((part * 10_000 / whole.max(1)) as i128)
}

fn parts(parts: i128) -> String {
    format!("{}.{:02}%", parts / 100, parts % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_over_the_highest_bar() {
        for (max, ticks) in [
            (0, vec![0]),
            (3, vec![0, 1, 2, 3]),
            (10, vec![0, 5, 10]),
            (11, vec![0, 5, 10, 15]),
            (1_000_000_001, vec![0, 500_000_000, 1_000_000_000, 1_500_000_000]),
        ] {
            assert_eq!(Scale::up_to(max).ticks().collect::<Vec<_>>(), ticks, "{max}");
        }
    }

    #[test]
    fn the_largest_value_still_has_a_scale() {
        let scale = Scale { step: i64::MAX, top: i64::MAX };
        assert_eq!(scale.below_top(i64::MAX), "0.00%");
    }

    #[test]
    fn stacked_parts_leave_no_gap() {
        let scale = Scale::up_to(3);
        assert_eq!((scale.below_top(1), scale.between(0, 1), scale.between(1, 3)), ("66.67%".into(), "33.33%".into(), "66.67%".into()));
    }
}

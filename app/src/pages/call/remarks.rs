use domain::{
    call::{CallDetail, Outcome, Reckoning, UsageSource},
    pricing::Excess,
    tokens::Flag,
};
use leptos::prelude::*;

use crate::parts::{
    form::{Tone, notice},
    layout::stack,
    money,
};

/// What keeps the figures from speaking for themselves, in words; `now` is what it comes to by now.
pub(super) fn remarks(call: &CallDetail, now: &Reckoning) -> AnyView {
    let source = match now.source {
        UsageSource::Upstream => None,
        UsageSource::Estimated => Some(
            "The upstream reported no usage. The tokens are an estimate: a tokenizer's count of what was sent and of what was delivered.",
        ),
        UsageSource::Interrupted => Some(
            "The gateway stopped while this call ran. The tokens are an estimate of the prompt, by a tokenizer's count; output is not charged.",
        ),
        UsageSource::None => Some("The upstream failed before any output. Nothing was counted and nothing is charged."),
    };
    let left = (call.row.outcome == Outcome::ClientLeft && call.row.source == UsageSource::Upstream)
        .then_some("The client left before the end. The gateway read on to the upstream's own count, which is what is charged.");
    let flagged = now.usage.flag.map(|flag| match flag {
        Flag::Contradictory => {
            "The upstream's numbers contradict each other. So only the two totals that it reported are charged, prompt tokens at the prompt \
             price and completion tokens at the completion price. What it sent is below, unchanged."
        }
        Flag::Excessive => {
            "The upstream reported more tokens than this call can have used. So no more is charged than what was held for it. What the \
             upstream sent is below, unchanged."
        }
        Flag::OtherTerms => {
            "The upstream served part of this call at another tier, or by a second model, for which the model has no price. It is charged at the \
             price of the tier that was asked for, or else at the model's own, and no more than what was held for it. What the upstream sent is \
             below, unchanged."
        }
    });
    let unexplained = now.unexplained_tokens().map(|tokens| {
        let tokens = money::grouped(tokens.get());
        format!(
            "The upstream's total holds {tokens} tokens that neither its prompt nor its completion explains. They are shown, not charged."
        )
    });
    let late = call.late().map(|late| {
        let [prompt, completion] = [late.usage.prompt_tokens, late.usage.completion_tokens].map(money::reported);
        format!(
            "The gateway that ran this call was taken for dead, and brought its own count later: {prompt} prompt and {completion} completion \
             tokens. It is charged by that; what was posted first, and what that changed, stands below the total."
        )
    });
    let remarks =
        [source, left, flagged, beyond_its_hold(call, now)].into_iter().flatten().map(str::to_owned).chain(unexplained).chain(late);
    stack(remarks.map(|words| notice(Tone::Plain, words)).collect())
}

/// Why it cost more than was held for it, or did not though it came to more.
fn beyond_its_hold(call: &CallDetail, now: &Reckoning) -> Option<&'static str> {
    if let Some(paid) = now.tokens {
        let counted = now.usage.prompt_tokens.unwrap_or_default().saturating_add(now.usage.completion_tokens.unwrap_or_default());
        return (counted > paid)
            .then_some("What was counted is more than the tokens that were held for this call. A call never takes more than these.");
    }
    if now.amount > call.held {
        return Some("What was counted comes to more than what was held for this call. This account pays what its calls came to.");
    }
    // Where the upstream counted too much, that is said of its count.
    if now.written_off.is_zero() || now.usage.flag == Some(Flag::Excessive) {
        return None;
    }
    Some(match call.excess {
        Excess::WrittenOff => "What was counted comes to more than what was held for this call. A call never costs more than that.",
        Excess::Charged => {
            "What was counted comes to more than what was held for this call. Where the counts contradict each other, no more than that is \
             charged."
        }
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::tokens::{CallUsage, Tokens};

    use super::{
        super::testing::{call, html, usage},
        *,
    };

    #[test]
    fn numbers_that_disagree_are_explained_in_words() {
        let flagged = html(&call(CallUsage { flag: Some(Flag::Contradictory), ..usage(7, 3, 20) }, 0));
        assert!(flagged.contains("contradict each other") && flagged.contains("holds 10 tokens"));
    }

    #[test]
    fn what_exceeds_the_hold_is_shown_and_not_charged() {
        let mut call = call(usage(12_000, 34, 12_034).within(Tokens::from_sum(8_000), Tokens::from_sum(34)), 0);
        (call.row.amount, call.written_off) = (call.held, call.receipt.amount.checked_sub(call.held).unwrap());
        let html = html(&call);
        for figure in ["more tokens than this call can have used", "$0.0018204", "−$0.0004204", "$0.0014"] {
            assert!(html.contains(figure), "{figure} is missing");
        }
        assert!(!html.contains("Given back") && !html.contains("A call never costs more"), "{html}");
    }

    #[test]
    fn what_is_charged_or_not_beyond_the_hold_is_explained_by_the_terms_of_the_account() {
        const STRICT: &str = "A call never costs more than that.";
        const LENIENT: &str = "This account pays what its calls came to.";
        let dear = call(usage(12_000, 34, 12_034), 0);
        let lenient = html(&CallDetail { excess: Excess::Charged, ..dear.clone() });
        assert!(lenient.contains(LENIENT) && !lenient.contains(STRICT) && !lenient.contains("not charged"), "{lenient}");
        let below_its_hold = html(&CallDetail { excess: Excess::Charged, ..call(usage(12, 34, 46), 0) });
        assert!(!below_its_hold.contains(LENIENT), "{below_its_hold}");

        let capped = |mut call: CallDetail| {
            (call.row.amount, call.written_off) = (call.held, call.receipt.amount.checked_sub(call.held).unwrap());
            html(&call)
        };
        let strict = capped(dear);
        assert!(strict.contains(STRICT) && !strict.contains(LENIENT), "{strict}");
        let flagged = call(CallUsage { flag: Some(Flag::Contradictory), ..usage(12_000, 34, 12_000) }, 0);
        let flagged = capped(CallDetail { excess: Excess::Charged, ..flagged });
        assert!(flagged.contains("no more than that is charged") && !flagged.contains(STRICT) && !flagged.contains(LENIENT), "{flagged}");
    }
}

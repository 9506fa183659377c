//! The most that a call can cost: what is held before it is forwarded.

use domain::{
    catalog::Model,
    credit::Unit,
    money::Amount,
    pricing::{ChargeOverflow, Discount, upper_bound},
    rates::Rates,
    tokens::Tokens,
};

use crate::dialect::request::Request;

/// A hold, and the cap on each answer's output that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) held: Amount,
    /// The most tokens that the call can take, of the prompt and of all answers.
    pub(crate) tokens: Tokens,
    pub(crate) cap: Tokens,
    /// What is held: the one, or the other.
    pub(crate) paid_in: Unit,
}

/// What there is for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Available {
    pub(crate) money: Amount,
    pub(crate) tokens: Tokens,
}

impl Available {
    /// More than any call can take.
    pub(crate) const EVERYTHING: Self = Self { money: Amount::MAX, tokens: Tokens::from_sum(i64::MAX) };
}

impl Bound {
    fn is_within(&self, available: Available) -> bool {
        self.held <= available.money && self.tokens <= available.tokens
    }
}

/// What a hold depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) request: &'a Request,
    pub(crate) model: &'a Model,
    /// The rates of the service tier that is asked for, and what is taken off them.
    pub(crate) price: (&'a Rates, Discount),
    /// The same of the default, where it may be served at that instead.
    pub(crate) or_price: Option<(&'a Rates, Discount)>,
}

impl Terms<'_> {
    /// The full bound: whatever the upstream does within what it was asked, it does not cost more.
    pub(crate) fn full(&self) -> Result<Bound, ChargeOverflow> {
        let cap = self.request.output_cap().unwrap_or_else(|| self.request.default_cap(self.model));
        self.bound(self.request.prompt.tokens_max(self.model), cap)
    }

    /// The bound of the shortest answer that is worth a call; `None` where the client named a cap, which is never lowered.
    pub(crate) fn least(&self) -> Option<Bound> {
        if !self.request.may_be_capped() {
            return None;
        }
        let shortest = self.model.bounds.output_min.min(self.request.default_cap(self.model));
        self.bound(self.request.prompt.tokens_max(self.model), shortest).ok()
    }

    /// Whether a cap of the client's own could be so low that the call fits.
    pub(crate) fn fits_with_a_lower_cap(&self, available: Available) -> bool {
        let (cap, least) =
            (self.request.output_cap().unwrap_or_else(|| self.request.default_cap(self.model)), self.model.bounds.output_min);
        cap > least && self.bound(self.request.prompt.tokens_max(self.model), least).is_ok_and(|bound| bound.is_within(available))
    }

    /// A bound that fits into credit or limits too short for the full one: where the client named no cap on the output, a lower one than the model's.
    pub(crate) fn within(&self, available: Available) -> Option<Bound> {
        if !self.request.may_be_capped() {
            return None;
        }
        let prompt = self.request.prompt.tokens_max(self.model);
        let fits = |cap: i64| self.bound(prompt, Tokens::from_sum(cap)).ok().filter(|bound| bound.is_within(available));
        let most = self.request.default_cap(self.model).get();
        let mut least = fits(self.model.bounds.output_min.get().min(most))?;
        // The bound grows with the cap: the largest that fits lies between one that does and one that does not.
        let (mut low, mut high) = (least.cap.get(), most + 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            match fits(middle) {
                Some(bound) => (low, least) = (middle, bound),
                None => high = middle,
            }
        }
        Some(least)
    }

    fn bound(&self, prompt: Tokens, cap: Tokens) -> Result<Bound, ChargeOverflow> {
        let completion = self.request.completion_max(self.model, cap);
        let at = |(rates, discount)| upper_bound(prompt, completion, rates, discount);
        let held = match self.or_price {
            None => at(self.price)?,
            Some(or_price) => at(self.price)?.max(at(or_price)?),
        };
        Ok(Bound { held, tokens: prompt.saturating_add(completion), cap, paid_in: Unit::Money })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::DateTime;
    use domain::{
        catalog::{ModelBounds, OutputCapField},
        id::{ModelId, ProviderId},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::{DIALECTS, Dialect};

    pub(crate) fn model() -> Model {
        Model {
            id: ModelId::new(DateTime::UNIX_EPOCH, [0; 10]),
            name: "m".to_owned(),
            provider_id: ProviderId::new(DateTime::UNIX_EPOCH, [0; 10]),
            provider: "p".to_owned(),
            upstream_name: "m".to_owned(),
            context_window: Tokens::from_sum(8_000),
            default_output_hold: Tokens::from_sum(1_000),
            output_cap_field: OutputCapField::MaxTokens,
            opened: Vec::new(),
            bounds: ModelBounds::default(),
        }
    }

    fn request(members: &str) -> Request {
        Request::parse(DIALECTS[0], &format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{members}}}"#)).unwrap()
    }

    /// One currency unit per thousand prompt tokens, two per thousand completion tokens.
    fn rates() -> Rates {
        Rates::plain(Amount::from_nanos(1_000_000_000), Amount::from_nanos(2_000_000_000))
    }

    fn check(members: &str, output_tokens: i64) {
        let (request, model, rates) = (request(members), model(), rates());
        let terms = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None };
        let prompt = request.prompt.tokens_max(&model);
        let expected = upper_bound(prompt, Tokens::from_sum(output_tokens), &rates, Discount::NONE).unwrap();
        assert_eq!(terms.full().unwrap().held, expected, "{members}");
    }

    #[test]
    fn the_full_bound_covers_every_answer() {
        check("", 1_000);
        check(r#","max_tokens":10"#, 10);
        check(r#","max_tokens":10,"max_completion_tokens":20"#, 10);
        check(r#","max_tokens":10,"n":3"#, 30);
        check(r#","n":3"#, 3_000);
        check(r#","max_tokens":1000000"#, 8_000);
    }

    /// A token to each byte and what lies around each prompt, and as many answers to each prompt as the larger of `n` and `best_of` says.
    #[test]
    fn every_prompt_and_every_answer_that_is_made_is_held_for() {
        let (model, rates) = (model(), rates());
        for (route, members, prompts, completion) in [
            ("/v1/completions", r#""prompt":"a""#, 1, 16),
            ("/v1/completions", r#""prompt":"a","max_tokens":10,"n":3"#, 1, 30),
            ("/v1/completions", r#""prompt":["a","b"],"max_tokens":10"#, 2, 20),
            ("/v1/completions", r#""prompt":["a","b"],"n":3"#, 2, 96),
            ("/v1/completions", r#""prompt":["a","b","c"],"max_tokens":10,"n":2,"best_of":5"#, 3, 150),
            ("/v1/completions", r#""prompt":"a","max_tokens":10,"best_of":5"#, 1, 50),
            ("/v1/completions", r#""best_of":5,"prompt":"a","max_tokens":10,"n":2"#, 1, 50),
            ("/v1/completions", r#""prompt":[1,2,3],"max_tokens":10,"n":2"#, 1, 20),
            ("/v1/completions", r#""prompt":[[1,2],[3]],"max_tokens":10,"n":2"#, 2, 40),
            ("/v1/completions", r#""prompt":["a",[3]],"max_tokens":10"#, 2, 20),
            // No answer is longer than the window.
            ("/v1/completions", r#""prompt":["a","b"],"max_tokens":1000000,"n":2"#, 2, 32_000),
            ("/v1/embeddings", r#""input":"a""#, 1, 0),
            ("/v1/embeddings", r#""input":[1,2,3]"#, 1, 0),
            ("/v1/embeddings", r#""input":[[1,2],[3],[4]]"#, 3, 0),
        ] {
            let body = format!(r#"{{"model":"m",{members}}}"#);
            let request = Request::parse(Dialect::of(route).unwrap(), &body).unwrap();
            let full = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None }.full().unwrap();
            let prompt = i64::try_from(body.len()).unwrap() + 64 * prompts;
            assert_eq!(full.tokens.get(), prompt + completion, "{body}");
            assert_eq!(full.held, Amount::from_nanos(prompt * 1_000_000 + completion * 2_000_000), "{body}");
        }
    }

    /// Each prompt has a window of its own, and no more than that.
    #[test]
    fn no_prompt_is_held_for_beyond_its_window() {
        let (model, rates) = (Model { context_window: Tokens::from_sum(50), ..model() }, rates());
        for (input, prompt) in [("[1,2,3]", 50), ("[[1],[2]]", 100), (r#"["a",[2],"c"]"#, 150)] {
            let body = format!(r#"{{"model":"m","input":{input}}}"#);
            let request = Request::parse(Dialect::of("/v1/embeddings").unwrap(), &body).unwrap();
            let full = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None }.full().unwrap();
            assert_eq!((full.tokens.get(), full.held), (prompt, Amount::from_nanos(prompt * 1_000_000)), "{body}");
        }
    }

    #[test]
    fn what_may_be_served_at_another_price_holds_the_dearer_one() {
        let (request, model, [rates, dearer]) =
            (request(""), model(), [rates(), Rates::plain(Amount::from_nanos(3_000_000_000), Amount::ZERO)]);
        let full = |price, or_price| Terms { request: &request, model: &model, price, or_price }.full().unwrap().held;
        let [plain, dear] = [(&rates, Discount::NONE), (&dearer, Discount::NONE)];
        let most = full(plain, None).max(full(dear, None));
        assert_ne!(full(plain, None), full(dear, None));
        assert_eq!([full(plain, Some(dear)), full(dear, Some(plain))], [most; 2]);
    }

    #[test]
    fn reasoning_beside_the_cap_is_held_for_in_every_answer() {
        let beside = ModelBounds { reasoning_max: Tokens::from_sum(500), ..ModelBounds::default() };
        let (request, model, rates) = (request(r#","max_tokens":10,"n":2"#), Model { bounds: beside, ..model() }, rates());
        let terms = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None };
        let prompt = request.prompt.tokens_max(&model);
        assert_eq!(terms.full().unwrap().held, upper_bound(prompt, Tokens::from_sum(1_020), &rates, Discount::NONE).unwrap());
    }

    #[test]
    fn a_cap_that_the_client_named_is_never_lowered() {
        let (request, model, rates) = (request(r#","max_tokens":500"#), model(), rates());
        let terms = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None };
        for money in ["0.5", "1000"] {
            assert_eq!(terms.within(Available { money: money.parse().unwrap(), ..Available::EVERYTHING }), None);
        }
    }

    proptest! {
        #[test]
        fn a_short_limit_of_tokens_leaves_the_largest_answer_that_fits(tokens in 0_i64..3_000) {
            let (request, model, rates) = (request(""), model(), rates());
            let terms = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None };
            let prompt = request.prompt.tokens_max(&model).get();
            let most = (tokens - prompt).min(model.default_output_hold.get());
            let found = terms.within(Available { tokens: Tokens::from_sum(tokens), ..Available::EVERYTHING }).map(|bound| bound.cap.get());
            prop_assert_eq!(found, (most >= model.bounds.output_min.get()).then_some(most));
        }

        #[test]
        fn short_credit_buys_the_largest_answer_that_fits(nanos in 0_i64..4_000_000_000) {
            let (request, model, rates, available) = (request(""), model(), rates(), Amount::from_nanos(nanos));
            let terms = Terms { request: &request, model: &model, price: (&rates, Discount::NONE), or_price: None };
            match terms.within(Available { money: available, ..Available::EVERYTHING }) {
                None => prop_assert!(terms.bound(request.prompt.tokens_max(&model), model.bounds.output_min).unwrap().held > available),
                Some(bound) => {
                    prop_assert!(bound.held <= available && bound.cap >= model.bounds.output_min);
                    // One token more costs 0.002.
                    prop_assert!(bound.cap == model.default_output_hold || bound.held.nanos() + 2_000_000 > nanos);
                }
            }
        }
    }
}

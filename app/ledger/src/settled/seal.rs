//! What proves that a row of `calls` is the one that was posted: SHA-256 over an encoding of it that is written down here and nowhere left to a library.

use domain::{
    attribution::Label,
    service_tier::ServiceTier,
    tokens::{Flag, Tokens},
};

use super::CallRecord;
use crate::encoding::{self, Encoding, Seal};

/// The newest encoding, by which calls are sealed.
const VERSION: u8 = 3;
/// The one before, which knew nothing of service tiers.
const WITHOUT_SERVICE_TIERS: u8 = 2;
/// The first, which knew nothing of attempts either.
const WITHOUT_ATTEMPTS: u8 = 1;

impl CallRecord {
    /// The seal to post it under.
    pub(crate) fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_3())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        let has_tiers = self.service_tier.is_some() || self.asked_tier.is_some();
        match seal.first() {
            // What was put there since would not show in that digest.
            Some(&WITHOUT_ATTEMPTS) if self.attempts.is_some() || has_tiers => Some(false),
            Some(&WITHOUT_SERVICE_TIERS) if has_tiers => Some(false),
            _ => encoding::fits(seal, |version| match version {
                VERSION => Some(self.digest_3()),
                WITHOUT_SERVICE_TIERS => Some(self.digest_2()),
                WITHOUT_ATTEMPTS => Some(self.digest_1()),
                _ => None,
            }),
        }
    }

    fn digest_3(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox call 3");
        self.encode_1(&mut row);
        row.maybe(self.attempts.as_deref(), Encoding::attempts);
        for tier in [self.service_tier, self.asked_tier] {
            row.maybe(tier.map(ServiceTier::name), Encoding::text);
        }
        row.digest()
    }

    fn digest_2(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox call 2");
        self.encode_1(&mut row);
        row.maybe(self.attempts.as_deref(), Encoding::attempts);
        row.digest()
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox call 1");
        self.encode_1(&mut row);
        row.digest()
    }

    fn encode_1(&self, row: &mut Encoding) {
        row.id(self.account_id.uuid());
        row.instant(self.started_at);
        row.id(self.call_id.uuid());
        row.id(self.key_id.uuid());
        row.id(self.project_id.uuid());
        for said in [&self.end_user, &self.session, &self.client] {
            row.maybe(said.as_ref().map(Label::as_str), Encoding::text);
        }
        row.maybe(self.tags.as_ref(), Encoding::tags);
        row.text(&self.model);
        row.text(&self.provider);
        row.maybe(self.upstream_model.as_deref(), Encoding::text);
        row.truth(self.stream);
        row.truth(self.is_lenient);
        row.text(self.outcome.name());
        row.text(self.source.name());
        let totals = [self.prompt_tokens, self.completion_tokens, self.total_tokens];
        let prompt =
            [self.input_tokens, self.cache_read_tokens, self.cache_write_5m_tokens, self.cache_write_1h_tokens, self.audio_input_tokens];
        let completion = [self.output_tokens, self.reasoning_tokens, self.audio_output_tokens];
        for count in totals.into_iter().chain(prompt).chain(completion) {
            row.maybe(count.map(Tokens::get), Encoding::number);
        }
        row.maybe(self.flag.map(Flag::name), Encoding::text);
        row.id(self.price_id.uuid());
        row.number(i64::from(self.discount_bps));
        row.number(self.amount);
        row.number(self.held);
        row.number(self.tokens_held);
        row.maybe(self.tokens_paid, Encoding::number);
        row.number(self.written_off);
        row.shares(&self.paid_by);
        row.maybe(self.http_status.map(i64::from), Encoding::number);
        row.number(self.latency_ms);
        row.maybe(self.first_byte_ms, Encoding::number);
        row.maybe(self.raw_usage.as_deref(), Encoding::text);
        row.instant(self.posted_at);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::{DateTime, Utc};
    use domain::id::GrantId;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use crate::settled::CallRecord;

    fn record(row: Value) -> serde_json::Result<CallRecord> {
        serde_json::from_value(row)
    }

    fn row() -> Value {
        let mut row = without_service_tiers();
        (row["service_tier"], row["asked_tier"]) = (json!("flex"), json!("priority"));
        row
    }

    fn without_service_tiers() -> Value {
        let mut row = without_attempts();
        row["attempts"] = json!([{ "provider": "other", "failure": "overloaded", "http_status": 503, "took_ms": 120 }]);
        row
    }

    fn without_attempts() -> Value {
        json!({
            "account_id": Uuid::from_u128(1), "started_at": "2026-06-15T12:30:00.123Z", "call_id": Uuid::from_u128(2), "key_id": Uuid::from_u128(3),
            "project_id": Uuid::from_u128(6), "end_user": "ada", "session": "run 7", "client": "curl 8", "tags": { "team": "search" },
            "model": "small", "provider": "upstream", "upstream_model": "small-2026", "stream": true, "is_lenient": false, "outcome": "ok", "source": "upstream",
            "prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46, "input_tokens": 2, "cache_read_tokens": 4, "cache_write_5m_tokens": 3,
            "cache_write_1h_tokens": 2, "audio_input_tokens": 1, "output_tokens": 30, "reasoning_tokens": 3, "audio_output_tokens": 1,
            "flag": "excessive", "price_id": Uuid::from_u128(4), "discount_bps": 250, "amount": 7, "held": 9, "tokens_held": 60, "tokens_paid": 46, "written_off": 5,
            "paid_by": [{ "grant_id": GrantId::from_uuid(Uuid::from_u128(5)), "amount": 7 }], "http_status": 200,
            "latency_ms": 812, "first_byte_ms": 120, "raw_usage": "{}", "posted_at": "2026-06-15T12:30:01.000001Z",
        })
    }

    /// A value that is none of the row's, of the same kind.
    fn another(value: &Value) -> Value {
        match value {
            Value::Bool(truth) => json!(!truth),
            Value::Number(number) => json!(number.as_i64().unwrap() + 1),
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({ "team": "research" }),
            Value::String(text) => match text.as_str() {
                "ok" => json!("interrupted"),
                "upstream" => json!("none"),
                "excessive" => json!("contradictory"),
                "flex" | "priority" => json!("scale"),
                text if text.parse::<Uuid>().is_ok() => json!(Uuid::from_u128(99)),
                text if text.parse::<DateTime<Utc>>().is_ok() => json!("2026-06-15T12:30:01.000002Z"),
                text => json!(format!("{text}!")),
            },
            other => panic!("{other} is no value of a row"),
        }
    }

    #[test]
    fn no_column_can_be_changed_and_none_taken_for_its_neighbour() {
        let sealed = record(row()).unwrap();
        let seal = sealed.seal();
        assert_eq!(sealed.fits(&seal), Some(true));
        for (column, value) in row().as_object().unwrap() {
            let mut changed = row();
            changed[column] = another(value);
            assert_eq!(record(changed).unwrap().fits(&seal), Some(false), "{column}");
            let mut missing = row();
            missing[column] = Value::Null;
            if let Ok(missing) = record(missing) {
                assert_eq!(missing.fits(&seal), Some(false), "{column} is missing");
            }
        }
        let mut shifted = row();
        (shifted["model"], shifted["provider"]) = (json!("smallup"), json!("stream"));
        assert_eq!(record(shifted).unwrap().fits(&seal), Some(false));
    }

    #[test]
    fn nothing_of_an_attempt_can_be_changed() {
        let sealed = record(row()).unwrap();
        let seal = sealed.seal();
        for (member, value) in
            [("provider", json!("else")), ("failure", json!("rate_limited")), ("http_status", json!(null)), ("took_ms", json!(1))]
        {
            let mut changed = row();
            changed["attempts"][0][member] = value;
            assert_eq!(record(changed).unwrap().fits(&seal), Some(false), "{member}");
        }
    }

    /// What is stored outlives its writer: these seals must be the same in every later version.
    #[test]
    fn no_encoding_ever_changes() {
        let sealed = record(row()).unwrap();
        let [before, without_tiers] = [without_attempts(), without_service_tiers()].map(|row| record(row).unwrap());
        let hex = |seal: &[u8]| seal.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let first = crate::encoding::seal(1, before.digest_1());
        assert_eq!(hex(&first), "0124fe55b28a0f13c89b67a4a5e72833a175b1047bd4b70e29f9c572d825b0bbe0");
        assert_eq!(before.fits(&first), Some(true), "what was sealed before is as it was");
        assert_eq!(sealed.fits(&first), Some(false), "nothing was tried before, by the words of those days");
        let second = crate::encoding::seal(2, without_tiers.digest_2());
        assert_eq!(hex(&second), "02268d32588971b9a6d8331f85c005e772bd40441afb0a41e737baa1d4c4708a18");
        assert_eq!(without_tiers.fits(&second), Some(true), "what was sealed before is as it was");
        assert_eq!(sealed.fits(&second), Some(false), "no tier was known, by the words of those days");
        assert_eq!(hex(&sealed.seal()), "030751315cb59261f4e68af45725cf5b1db1869f2e11e87a0fb85da0786a5d751d");
        assert_eq!(sealed.fits(&[4; 33]), None, "what a later version sealed is not called forged");
        assert_eq!(sealed.fits(&[]), None);
    }
}

//! What must hold between rows, in SQL.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::{FAULTS_MAX, Fault};
use crate::{Error, Result};

/// A claim in SQL: it selects the rows that disagree, as (row, expected, found).
pub(super) struct Claim {
    pub(super) claim: &'static str,
    sql: &'static str,
}

impl Claim {
    /// The rows that disagree.
    pub(super) async fn disagreeing(&self, connection: &mut PgConnection) -> Result<Vec<Fault>> {
        let bounded = format!("{} limit {FAULTS_MAX}", self.sql);
        let rows = sqlx::query(AssertSqlSafe(bounded)).fetch_all(connection).await?;
        rows.into_iter()
            .map(|row| {
                let text = |place: usize| Ok::<_, Error>(row.try_get::<Option<String>, _>(place)?.unwrap_or_else(|| "nothing".to_owned()));
                Ok(Fault { claim: self.claim.to_owned(), row: text(0)?, expected: text(1)?, found: text(2)? })
            })
            .collect()
    }
}

const JOURNAL_BALANCES: Claim = Claim {
    claim: "the entries of a posting sum to zero",
    sql: "select 'journal ' || j.journal_id, '0', \
          sum(e.amount)::text || ' = ' || string_agg('line ' || e.line || ' ' || e.book || ' ' || e.amount, ', ' order by e.line) \
          from journal j left join entries e using (account_id, journal_id) \
          group by j.account_id, j.journal_id, e.unit having sum(e.amount) is distinct from 0",
};

const ENTRIES_ARE_NUMBERED: Claim = Claim {
    claim: "the entries of a posting are numbered from 1",
    sql: "select 'journal ' || journal_id, '1 to ' || count(*), string_agg(line::text, ', ' order by line) from entries \
          group by account_id, journal_id having min(line) <> 1 or max(line) <> count(*)",
};

const ENTRIES_ARE_IN_THEIR_BOOKS: Claim = Claim {
    claim: "what a grant gives or gets stands against the book of its posting's kind",
    sql: "select 'journal ' || journal_id || ' line ' || line, b.book, e.book from entries e join journal j using (account_id, journal_id) \
          cross join lateral (select case when j.kind in ('usage', 'late_usage', 'call_credit') then 'revenue' when j.kind = 'top_up' then 'cash' else j.kind end as book) b \
          where e.book not in ('grant', b.book)",
};

/// A statement is in the order of its dates. A posting's id is that of the first of its calls.
const USAGE_IS_DATED_BY_ITS_CALLS: Claim = Claim {
    claim: "a usage posting bears the dates of its calls, and says how many they are",
    sql: "select 'journal ' || j.journal_id, \
          'usage ' || uuid_v7_time(j.journal_id) || ', posted ' || min(c.posted_at) || ': ' || case count(*) when 1 then '1 call' else count(*) || ' calls' end, \
          j.kind || ' ' || j.event_at || ', posted ' || j.posted_at || ': ' || j.memo || j.actor \
          from journal j join calls c using (account_id, journal_id) group by j.account_id, j.journal_id \
          having j.kind <> 'usage' or uuid_v7_time(j.journal_id) <> j.event_at or min(c.posted_at) <> j.posted_at or max(c.posted_at) <> j.posted_at \
          or j.actor <> '' or j.memo <> case count(*) when 1 then '1 call' else count(*) || ' calls' end",
};

const GRANT_IS_ITS_ENTRIES: Claim = Claim {
    claim: "a grant's posted amount is the sum of its entries",
    sql: "select 'grant ' || g.grant_id, coalesce(sum(e.amount), 0)::text, g.posted::text from grants g \
          left join entries e on e.account_id = g.account_id and e.grant_id = g.grant_id and e.book = 'grant' \
          group by g.account_id, g.grant_id having g.posted <> coalesce(sum(e.amount), 0)",
};

const WALLET_LASTS: Claim = Claim {
    claim: "a wallet is there from its account's first moment on, and does not expire",
    sql: "select 'grant ' || g.grant_id, 'from ' || a.created_at || ' on', 'from ' || g.starts_at || coalesce(' to ' || g.expires_at, ' on') \
          from grants g join accounts a using (account_id) \
          where g.kind = 'wallet' and (g.starts_at <> a.created_at or g.expires_at is not null)",
};

const GRANT_IS_ITS_LEASES: Claim = Claim {
    claim: "a grant's leased amount is the sum of its leases",
    sql: "select 'grant ' || g.grant_id || ' (leased)', coalesce(sum(l.amount), 0)::text, g.leased::text from grants g \
          left join leases l on l.account_id = g.account_id and l.grant_id = g.grant_id \
          group by g.account_id, g.grant_id having g.leased <> coalesce(sum(l.amount), 0)",
};

const HOLD_IS_ITS_LEASES: Claim = Claim {
    claim: "a running call's hold is the sum of its leases",
    sql: "select 'intent ' || i.call_id, coalesce(sum(l.amount), 0)::text, i.held::text from intents i \
          left join leases l on l.account_id = i.account_id and l.lease_id = i.call_id \
          group by i.account_id, i.call_id having i.held <> coalesce(sum(l.amount), 0)",
};

/// Both ways: a rollup row without calls is as wrong as calls without a rollup row.
macro_rules! rollup_is_its_calls {
    ($table:literal, $step:literal) => {
        Claim {
            claim: concat!("the sums per ", $step, " are those of its calls and their corrections"),
            sql: concat!(
                "with sums as (select account_id, date_trunc('",
                $step,
                "', started_at, 'UTC') as ",
                $step,
                ", key_id, model, stream, outcome, \
                 sum(calls) as requests, coalesce(sum(prompt_tokens), 0) as prompt, coalesce(sum(completion_tokens), 0) as completion, \
                 coalesce(sum(total_tokens), 0) as total, sum(amount) as amount, sum(written_off) as written_off from ( \
                 select account_id, started_at, key_id, model, stream, outcome, 1 as calls, prompt_tokens, completion_tokens, total_tokens, amount, \
                 written_off from calls union all \
                 select account_id, started_at, key_id, model, stream, outcome, 0, x.prompt_tokens, x.completion_tokens, x.total_tokens, x.amount, \
                 x.written_off from corrections x join calls using (account_id, started_at, call_id)) figures group by 1, 2, 3, 4, 5, 6) \
                 select '",
                $table,
                " ' || \
                 concat_ws(' ', account_id, ",
                $step,
                ", key_id, model, case when stream then 'stream' else 'plain' end, outcome), \
                 (s.requests, s.prompt, s.completion, s.total, s.amount, s.written_off)::text, \
                 (u.requests, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.amount, u.written_off)::text \
                 from sums s full join ",
                $table,
                " u using (account_id, ",
                $step,
                ", key_id, model, stream, outcome) \
                 where (s.requests, s.prompt, s.completion, s.total, s.amount, s.written_off) \
                 is distinct from (u.requests, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.amount, u.written_off)"
            ),
        }
    };
}

/// A version counts as known ten seconds after it was written, which is the least lead of one that follows another.
const CALL_IS_AT_ITS_PRICE: Claim = Claim {
    claim: "a call's price is the one of its model that was in force when the call was admitted",
    sql: "select 'call ' || c.call_id, c.model || ' at ' || c.started_at, v.kind || ' of ' || m.name || ' from ' || v.effective_from \
          from calls c left join price_versions v using (price_id) left join models m using (model_id) \
          where (v.kind = 'sale' and m.name = c.model and v.effective_from <= c.started_at) is not true or exists ( \
              select from price_versions later where later.model_id = v.model_id and later.kind = 'sale' \
              and later.effective_from > v.effective_from and later.effective_from <= c.started_at \
              and later.created_at <= c.started_at - interval '10 seconds')",
};

const SETTLED_IS_POSTED: Claim = Claim {
    claim: "a settled call is in the books",
    sql: "select 'call ' || call_id, 'posted', 'in quarantine since ' || at || ': ' || reason from quarantine_of_unposted",
};

/// What else a credit's posting says is part of what was asked for.
const CORRECTION_DATES_ITS_POSTING: Claim = Claim {
    claim: "a correction's posting is of its kind, and bears its date and its words",
    sql: "select 'journal ' || j.journal_id, w.kind || ' ' || w.event_at || ', posted ' || x.posted_at || ': ' || w.memo || w.actor, \
          j.kind || ' ' || j.event_at || ', posted ' || j.posted_at || ': ' || j.memo || j.actor \
          from corrections x join journal j using (account_id, journal_id) cross join lateral (select \
          case x.kind when 'late_usage' then 'late_usage' else 'call_credit' end as kind, \
          case x.kind when 'late_usage' then x.started_at else x.posted_at end as event_at, \
          case x.kind when 'late_usage' then 'call ' || x.call_id else j.memo end as memo, \
          case x.kind when 'late_usage' then '' else j.actor end as actor) w \
          where (j.kind, j.posted_at, j.event_at, j.memo, j.actor) <> (w.kind, x.posted_at, w.event_at, w.memo, w.actor)",
};

/// Every claim that SQL alone can check.
pub(super) const ALL: [Claim; 13] = [
    JOURNAL_BALANCES,
    ENTRIES_ARE_NUMBERED,
    ENTRIES_ARE_IN_THEIR_BOOKS,
    USAGE_IS_DATED_BY_ITS_CALLS,
    GRANT_IS_ITS_ENTRIES,
    WALLET_LASTS,
    GRANT_IS_ITS_LEASES,
    HOLD_IS_ITS_LEASES,
    rollup_is_its_calls!("usage_hourly", "hour"),
    rollup_is_its_calls!("usage_daily", "day"),
    CALL_IS_AT_ITS_PRICE,
    SETTLED_IS_POSTED,
    CORRECTION_DATES_ITS_POSTING,
];

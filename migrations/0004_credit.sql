-- Heads of the books, pools of credit and limits, what running calls have reserved of them, the journal, daily roots, and runs of the proof.
--
-- Amounts are nanos: 1e-9 of the deployment's one currency.

-- The head of an account's books: whoever changes what the account has locks this row first, so that within an account everything happens one after
-- the other, and no lock on any other row of it is needed.
create table heads (
    account_id uuid primary key references accounts,
    -- The number of its newest posting, and that one's digest.
    seq        bigint not null default 0,
    digest     bytea,
    -- The newest instant in its books: whatever is posted later is dated later, also when Postgres' clock was set back.
    posted_at  timestamptz not null,
    -- The hour whose calls no posting has summed up yet, how many they are, and the digest of their seals so far.
    hour       timestamptz,
    calls      bigint,
    seals      bytea,
    -- Whether any of its limits is in force.
    is_limited boolean not null default false,
    constraint heads_count_from_the_first_posting check ((seq > 0) = (digest is not null)),
    constraint heads_have_an_open_hour_or_none check ((hour is null) = (calls is null) and (hour is null) = (seals is null))
);
-- Hours that have ended are looked for every minute.
create index heads_by_open_hour on heads (hour) where hour is not null;

create table grants (
    account_id uuid not null references heads,
    grant_id   uuid not null,
    kind       text not null constraint grants_kind_is_known check (kind in ('wallet', 'promo', 'plan', 'package')),
    unit       text not null constraint grants_unit_is_known check (unit in ('money', 'tokens')),
    -- Nanos or tokens. What was put in, less what was taken back; what calls used of it, corrections included; and what of that no posting has summed up yet.
    granted    bigint not null default 0,
    used       bigint not null default 0,
    unbooked   bigint not null default 0 constraint grants_unbooked_is_not_negative check (unbooked >= 0),
    leased     bigint not null default 0 constraint grants_leased_is_not_negative check (leased >= 0),
    -- The models it pays for; null for all.
    models     text[] constraint grants_models_are_some check (cardinality(models) > 0),
    -- What expires first pays first; of those that expire together, the lower number.
    priority   integer not null default 0,
    starts_at  timestamptz not null,
    expires_at timestamptz,
    -- When it was ended before it would have expired.
    ended_at   timestamptz,
    primary key (account_id, grant_id),
    constraint grants_end_after_they_start check (expires_at > starts_at),
    constraint grants_wallet_lasts check (
        kind <> 'wallet' or (unit = 'money' and expires_at is null and ended_at is null and models is null and priority = 0)
    )
);
-- Credit that has ended is looked for every minute.
create index grants_by_end on grants (least(expires_at, ended_at)) where expires_at is not null or ended_at is not null;
-- What calls are charged to when nothing else is left: exactly one per account.
create unique index grants_one_wallet on grants (account_id) where kind = 'wallet';

-- What is lent to an account: how far below zero its wallet may go, as it was set from time to time. The newest row is in force; none lends nothing.
create table credit_lines (
    account_id  uuid not null references heads,
    set_at      timestamptz not null,
    amount      bigint not null constraint credit_lines_amount_is_not_negative check (amount >= 0),
    -- What is lent on top of it until an instant.
    grace       bigint not null constraint credit_lines_grace_is_not_negative check (grace >= 0),
    grace_until timestamptz,
    -- Whether the account pays what a call costs beyond what was held for it, too.
    is_lenient  boolean not null,
    -- Whether the wallet pays for no call: other credit does.
    is_quota    boolean not null,
    set_by      text not null,
    -- The version of an encoding and the SHA-256 of all of the above in it.
    seal        bytea not null,
    primary key (account_id, set_at),
    constraint credit_lines_grace_ends check ((grace > 0) = (grace_until is not null)),
    constraint credit_lines_of_quota_lend_nothing check (not is_quota or (amount = 0 and grace = 0 and not is_lenient))
);

-- A call that was admitted and is not yet posted. If its proxy dies, this is what it is settled from.
create table intents (
    account_id     uuid not null references accounts,
    call_id        uuid not null,
    key_id         uuid not null,
    project_id     uuid not null,
    -- What the client said of it, see calls.
    end_user       text,
    session        text,
    client         text,
    tags           jsonb,
    model          text not null,
    provider       text not null,
    price_id       uuid not null references price_versions,
    discount_bps   integer not null,
    stream         boolean not null,
    -- Whether its account pays what it costs beyond what is held for it, too.
    is_lenient     boolean not null,
    -- Prompt tokens as counted before the call, in case nobody ever counts better.
    input_estimate bigint not null constraint intents_input_is_not_negative check (input_estimate >= 0),
    -- The most that it can cost, and the most tokens that it can take.
    held           bigint not null constraint intents_hold_is_not_negative check (held >= 0),
    tokens_held    bigint not null constraint intents_tokens_are_not_negative check (tokens_held >= 0),
    -- The proxy that runs the call.
    proxy          uuid not null,
    expires_at     timestamptz not null,
    primary key (account_id, call_id),
    foreign key (account_id, key_id) references api_keys,
    foreign key (account_id, project_id) references projects
);
create index intents_by_proxy on intents (proxy);
create index intents_by_expiry on intents (expires_at);

-- Bounds on what an account, or a part of it, may use in a window of time.
create table limits (
    account_id uuid not null references heads,
    limit_id   uuid not null,
    scope      text not null constraint limits_scope_is_known check (scope in ('account', 'project', 'member', 'key', 'run')),
    -- Which project, which member, which key, or which session of which calls.
    project_id uuid,
    user_id    uuid references users,
    key_id     uuid,
    session    text,
    per        text not null constraint limits_window_is_known check (per in ('minute', 'day', 'week', 'month', 'ever')),
    unit       text not null constraint limits_unit_is_known check (unit in ('money', 'tokens', 'requests')),
    hardness   text not null constraint limits_hardness_is_known check (hardness in ('hard', 'soft')),
    -- The operator's limits are not the account's to change.
    set_by     text not null constraint limits_setter_is_known check (set_by in ('operator', 'account')),
    -- Nanos, tokens or requests a window.
    capacity   bigint not null constraint limits_capacity_is_not_negative check (capacity >= 0),
    -- It counts what is posted later; what was used before in the window that was running then is its opening.
    created_at timestamptz not null,
    removed_at timestamptz,
    primary key (account_id, limit_id),
    foreign key (account_id, key_id) references api_keys,
    foreign key (account_id, project_id) references projects,
    constraint limits_name_whose_they_are check (
        (scope = 'project') = (project_id is not null) and (scope = 'member') = (user_id is not null)
        and (scope = 'key') = (key_id is not null) and (scope = 'run') = (session is not null)
    )
);
-- There is one of each kind at a time.
create unique index limits_are_one_of_a_kind on limits (account_id, set_by, scope, project_id, user_id, key_id, session, per, unit, hardness) nulls not distinct where removed_at is null;

-- What is in a limit's windows. A call is of the window in which it began.
create table limit_windows (
    account_id uuid not null,
    limit_id   uuid not null,
    starts_at  timestamptz not null,
    -- What was used before the limit was there.
    opening    bigint not null default 0,
    used       bigint not null default 0,
    leased     bigint not null default 0 constraint limit_windows_leased_is_not_negative check (leased >= 0),
    primary key (account_id, limit_id, starts_at),
    foreign key (account_id, limit_id) references limits
);

-- The hold of an intent, pool by pool: of a grant, or of a limit's window. A lease covers one call and bears its id.
create table leases (
    account_id uuid not null,
    lease_id   uuid not null,
    -- Which of a call's holds is used first.
    place      smallint not null,
    grant_id   uuid,
    limit_id   uuid,
    starts_at  timestamptz,
    amount     bigint not null constraint leases_amount_is_positive check (amount > 0),
    primary key (account_id, lease_id, place),
    foreign key (account_id, lease_id) references intents on delete cascade,
    foreign key (account_id, grant_id) references grants,
    foreign key (account_id, limit_id, starts_at) references limit_windows,
    constraint leases_are_of_one_pool check ((grant_id is null) = (limit_id is not null) and (limit_id is null) = (starts_at is null))
);

-- Locks accounts, and says what they have then. Account by account, in order, so that no two can wait for each other, and each by equality, which a
-- database that is spread over machines can route. What somebody else has locked is waited for, or left out.
create function lock_books(accounts uuid[], is_to_wait boolean)
    returns table (
        account_id uuid, seq bigint, digest bytea, posted_at timestamptz, hour timestamptz, calls bigint, seals bytea, is_limited boolean,
        now timestamptz, grant_id uuid, kind text, unit text, granted bigint, used bigint, unbooked bigint, leased bigint, models text[],
        priority integer, starts_at timestamptz, expires_at timestamptz, lent bigint, grace bigint, grace_until timestamptz, is_quota boolean
    )
    language plpgsql
as $$
#variable_conflict use_column
declare
    one uuid;
    locked uuid[] := '{}';
begin
    for one in select distinct a from unnest(accounts) a order by a loop
        if is_to_wait then
            perform from heads h where h.account_id = one for no key update;
        else
            perform from heads h where h.account_id = one for no key update skip locked;
        end if;
        if found then
            locked := locked || one;
        end if;
    end loop;
    -- Nothing of them changes any more.
    return query
        select
            h.account_id, h.seq, h.digest, h.posted_at, h.hour, h.calls, h.seals, h.is_limited,
            clock_timestamp(), g.grant_id, g.kind, g.unit, g.granted, g.used, g.unbooked, g.leased, g.models, g.priority, g.starts_at,
            least(g.expires_at, g.ended_at), l.amount, l.grace, l.grace_until, l.is_quota
        from heads h join grants g on g.account_id = h.account_id
        left join lateral (
            select c.amount, c.grace, c.grace_until, c.is_quota from credit_lines c where c.account_id = g.account_id order by c.set_at desc limit 1
        ) l on g.kind = 'wallet'
        -- What has ended and is empty comes back no more.
        where h.account_id = any(locked) and not coalesce(
            least(g.expires_at, g.ended_at) < now() and g.granted = g.used and g.leased = 0 and g.unbooked = 0, false
        )
        order by h.account_id, g.grant_id;
end
$$;

-- Double entry: per posting and unit, money or tokens, the entries sum to zero. Calls are posted by the hour, all that an account's were charged in one.
create table journal (
    account_id      uuid not null references accounts,
    -- The account's own numbers, from 1 on and without gaps.
    seq             bigint not null constraint journal_seq_is_positive check (seq > 0),
    kind            text not null constraint journal_kind_is_known check (
                        kind in (
                            'usage', 'top_up', 'adjustment', 'promo', 'allowance', 'package', 'expiry', 'late_usage', 'call_credit'
                        )
                    ),
    memo            text not null,
    actor           text not null,
    -- Money moves once per key, however often the request is repeated.
    idempotency_key text,
    -- SHA-256 of what was asked under that key: the same key with another body is refused.
    request_digest  bytea,
    -- Of usage, when its hour began.
    event_at        timestamptz not null,
    -- Postgres' clock, read while the books are locked: postings of one account never run backwards. Of usage, the hour's last microsecond.
    posted_at       timestamptz not null,
    -- Of usage: how many calls it sums up.
    calls           bigint,
    -- What it was posted for: the digest of its calls' seals in the order in which they were posted, or the seal of its correction.
    seals           bytea,
    -- A version and the SHA-256 of all of the above, its entries, and the digest of the posting before it.
    digest          bytea not null,
    primary key (account_id, seq),
    constraint journal_idempotency_key_is_unique unique (account_id, idempotency_key),
    constraint journal_key_has_a_digest check ((idempotency_key is null) = (request_digest is null)),
    constraint journal_usage_counts_its_calls check ((kind = 'usage') = (calls is not null))
);

create table entries (
    account_id    uuid not null,
    seq           bigint not null,
    line          smallint not null,
    book          text not null constraint entries_book_is_known check (
                      book in ('grant', 'revenue', 'cash', 'promo', 'adjustment', 'quota', 'breakage')
                  ),
    unit          text not null constraint entries_unit_is_known check (unit in ('money', 'tokens')),
    grant_id      uuid,
    amount        bigint not null,
    -- What is in the grant, or in the account's book, after this line.
    balance_after bigint not null,
    primary key (account_id, seq, line),
    foreign key (account_id, seq) references journal,
    foreign key (account_id, grant_id) references grants,
    constraint entries_grant_is_named check ((book = 'grant') = (grant_id is not null))
);
-- What was in a grant after any posting.
create index entries_by_grant on entries (account_id, grant_id, seq desc, line desc) where grant_id is not null;

-- What is in an account's books other than its grants: the sum of their entries.
create table books (
    account_id uuid not null references heads,
    book       text not null constraint books_name_is_known check (
                   book in ('revenue', 'cash', 'promo', 'adjustment', 'quota', 'breakage')
               ),
    unit       text not null constraint books_unit_is_known check (unit in ('money', 'tokens')),
    balance    bigint not null,
    primary key (account_id, book, unit)
);

-- What all books said when a day had ended: one digest over every account's newest posting of that day or before. Kept elsewhere too, it shows that
-- nothing before it was written anew.
create table roots (
    day      date primary key,
    accounts bigint not null,
    digest   bytea not null,
    made_at  timestamptz not null
);

-- Runs of the proof, so that operators see how the last ones ended.
create table proofs (
    proof_id uuid primary key,
    begun_at timestamptz not null,
    asked_by text not null,
    -- The day from which on it looks at what was posted; null if at everything.
    since    date,
    -- Accounts there are, accounts that are done, and their calls.
    accounts bigint not null default 0,
    done     bigint not null default 0,
    calls    bigint not null default 0,
    -- Its process says so every few seconds, until it has ended.
    seen_at  timestamptz not null,
    ended_at timestamptz,
    -- domain::proof::Proof, or why there is none.
    proof    jsonb,
    failure  text,
    constraint proofs_end_with_one_of_both check ((ended_at is null) = (proof is null and failure is null))
);
create index proofs_by_begin on proofs (begun_at desc);

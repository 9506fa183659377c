-- Pools of credit, what running calls have reserved of them, and the books.
--
-- Amounts are nanos: 1e-9 of the deployment's one currency.

create table grants (
    account_id uuid not null references accounts,
    grant_id   uuid not null,
    kind       text not null constraint grants_kind_is_known check (kind in ('wallet', 'promo', 'plan', 'package')),
    unit       text not null constraint grants_unit_is_known check (unit in ('money')),
    posted     bigint not null default 0,
    leased     bigint not null default 0 constraint grants_leased_is_not_negative check (leased >= 0),
    -- How far below zero the grant may go. Prepaid credit only: nothing can be borrowed.
    floor      bigint not null default 0 constraint grants_floor_is_zero check (floor = 0),
    -- What expires first pays first; until there is a second kind of order, another number would say nothing true.
    priority   integer not null default 0 constraint grants_priority_is_zero check (priority = 0),
    starts_at  timestamptz not null,
    expires_at timestamptz,
    primary key (account_id, grant_id)
);
-- What calls are charged to when nothing else is left: exactly one per account.
create unique index grants_one_wallet on grants (account_id) where kind = 'wallet';

-- A call that was admitted and is not yet posted. If its proxy dies, this is what it is settled from.
create table intents (
    account_id     uuid not null references accounts,
    call_id        uuid not null,
    key_id         uuid not null,
    model          text not null,
    provider       text not null,
    price_id       uuid not null references price_versions,
    discount_bps   integer not null,
    stream         boolean not null,
    -- Prompt tokens as counted before the call, in case nobody ever counts better.
    input_estimate bigint not null constraint intents_input_is_not_negative check (input_estimate >= 0),
    held           bigint not null constraint intents_hold_is_positive check (held > 0),
    -- The proxy that runs the call.
    proxy          uuid not null,
    expires_at     timestamptz not null,
    primary key (account_id, call_id),
    foreign key (account_id, key_id) references api_keys
);
create index intents_by_proxy on intents (proxy);
create index intents_by_expiry on intents (expires_at);

-- The hold of an intent, grant by grant. A lease covers one call and bears its id.
create table leases (
    account_id uuid not null,
    lease_id   uuid not null,
    -- Which of a call's holds is used first.
    place      smallint not null,
    grant_id   uuid not null,
    amount     bigint not null constraint leases_amount_is_positive check (amount > 0),
    primary key (account_id, lease_id, grant_id),
    foreign key (account_id, lease_id) references intents on delete cascade,
    foreign key (account_id, grant_id) references grants
);

-- Double entry: per journal and unit, the entries sum to zero.
create table journal (
    account_id      uuid not null references accounts,
    journal_id      uuid not null,
    kind            text not null constraint journal_kind_is_known check (
                        kind in ('usage', 'top_up', 'adjustment', 'promo', 'late_usage', 'call_credit')
                    ),
    memo            text not null,
    actor           text not null,
    -- Money moves once per key, however often the request is repeated.
    idempotency_key text,
    -- SHA-256 of what was asked under that key: the same key with another body is refused.
    request_digest  bytea,
    event_at        timestamptz not null,
    -- Postgres' clock, read while the grants are locked: postings of one account never run backwards.
    posted_at       timestamptz not null,
    primary key (account_id, journal_id),
    constraint journal_idempotency_key_is_unique unique (account_id, idempotency_key),
    constraint journal_key_has_a_digest check ((idempotency_key is null) = (request_digest is null))
);
create index journal_by_posting on journal (account_id, posted_at desc, journal_id desc);

create table entries (
    account_id uuid not null,
    journal_id uuid not null,
    line       smallint not null,
    book       text not null constraint entries_book_is_known check (book in ('grant', 'revenue', 'cash', 'promo', 'adjustment')),
    unit       text not null constraint entries_unit_is_known check (unit in ('money')),
    grant_id   uuid,
    amount     bigint not null,
    primary key (account_id, journal_id, line),
    foreign key (account_id, journal_id) references journal,
    foreign key (account_id, grant_id) references grants,
    constraint entries_grant_is_named check ((book = 'grant') = (grant_id is not null))
);

-- Payments that customers make through a provider: what was to be paid is written down before the provider is asked, what the provider says of it is
-- believed as far as it fits that, and everything that it moves is a posting of the journal.

create table payments (
    account_id    uuid not null references heads,
    payment_id    uuid not null,
    provider      text not null constraint payments_provider_is_known check (provider in ('stripe')),
    -- What is to be paid: nanos, and the same in the currency's smallest unit, as providers count.
    amount        bigint not null constraint payments_amount_is_positive check (amount > 0),
    minor         bigint not null constraint payments_minor_is_positive check (minor > 0),
    currency      text not null constraint payments_currency_is_a_code check (currency ~ '^[a-z]{3}$'),
    made_by       text not null,
    made_at       timestamptz not null,
    -- The version of an encoding and the SHA-256 of all of the above in it.
    seal          bytea not null,
    -- The provider's own name of it, once it has been asked.
    session       text,
    -- It goes from pending to one of the others, and from an earlier one of this list to a later one; no statement takes it back. Held: it was paid and
    -- is not credited, an operator decides. Dismissed: an operator has decided that it never is.
    state         text not null default 'pending' constraint payments_state_is_known check (
                      state in ('pending', 'ended', 'held', 'credited', 'dismissed')
                  ),
    -- What an operator must look at, in words.
    problem       text,
    changed_at    timestamptz not null,
    -- When the provider was last asked what has become of it.
    looked_at     timestamptz,
    primary key (account_id, payment_id),
    constraint payments_held_have_a_problem check (state <> 'held' or problem is not null)
);
-- What became of these is asked for every minute.
create index payments_pending on payments (made_at) where state = 'pending';
create index payments_with_a_problem on payments (changed_at) where problem is not null;

-- What payments have moved: what they brought, what of it went back, and what came again. Each is a posting, whose seals are the seal of its row here.
create table payment_movements (
    account_id uuid not null references heads,
    -- The number of its posting, which is written later than this row, in the same transaction.
    posting    bigint not null,
    payment_id uuid not null,
    kind       text not null constraint payment_movements_kind_is_known check (kind in ('credit', 'refund', 'dispute', 'reversal')),
    -- Nanos; below zero of what went back.
    amount     bigint not null,
    minor      bigint not null,
    -- What the provider calls what it is of: a session, a charge, a dispute.
    reference  text not null,
    -- Who decided it, where it was not the provider's word alone.
    decided_by text,
    posted_at  timestamptz not null,
    seal       bytea not null,
    primary key (account_id, posting),
    foreign key (account_id, payment_id) references payments,
    constraint payment_movements_have_a_direction check ((amount > 0) = (kind in ('credit', 'reversal')) and (minor > 0) = (amount > 0))
);
-- A payment is credited once; a dispute takes once, and is given back once.
create unique index payment_movements_happen_once on payment_movements (account_id, payment_id, kind, reference) where kind <> 'refund';
create unique index payment_movements_credit_once on payment_movements (account_id, payment_id) where kind = 'credit';

-- Whose a provider's session or intent is: found without knowing the account. Without a key to the payment, which may be on another machine.
create table payment_references (
    reference  text primary key,
    account_id uuid not null,
    payment_id uuid not null
);

-- What a provider has told, each event once and in any order.
create table payment_events (
    event_id    text primary key,
    kind        text not null,
    -- What it is about, as the provider calls it, and whether nothing follows on that.
    about       text not null,
    is_final    boolean not null,
    -- Null of what is about no payment of ours.
    account_id  uuid,
    payment_id  uuid,
    received_at timestamptz not null
);
create index payment_events_final on payment_events (about) where is_final;

-- What a card's issuer took back, or returned, has a kind of its own.
alter table journal drop constraint journal_kind_is_known;
alter table journal add constraint journal_kind_is_known check (
    kind in (
        'usage', 'top_up', 'adjustment', 'refund', 'chargeback', 'promo', 'plan_fee', 'allowance', 'package', 'expiry', 'late_usage', 'call_credit',
        'reprice'
    )
);

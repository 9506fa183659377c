-- Codes that give credit to whoever redeems them, made in batches. A code is shown once, as it is made, and stored as its digest.

create table code_batches (
    batch_id    uuid primary key,
    -- Customers read it in their journals.
    name        text not null constraint code_batches_name_is_short check (length(name) between 1 and 80),
    -- What each use of a code gives: nanos.
    amount      bigint not null constraint code_batches_amount_is_positive check (amount > 0),
    currency    text not null constraint code_batches_currency_is_a_code check (currency ~ '^[a-z]{3}$'),
    -- Promo: promotional credit of its own. Paid: somebody has paid for it, and it goes into the wallet.
    kind        text not null constraint code_batches_kind_is_known check (kind in ('promo', 'paid')),
    -- How many codes there are, and how many accounts may redeem each of them.
    codes       bigint not null constraint code_batches_codes_are_some check (codes > 0),
    uses        bigint not null constraint code_batches_uses_are_some check (uses > 0),
    -- Whether an account may redeem one code of the batch alone.
    is_sole     boolean not null,
    -- From when on no code is redeemed; null for never.
    expires_at  timestamptz,
    -- How many days after it was redeemed the credit ends; null for never.
    credit_days integer constraint code_batches_credit_lasts_a_while check (credit_days > 0),
    made_at     timestamptz not null,
    made_by     text not null,
    -- The version of an encoding and the SHA-256 of all of the above in it.
    seal        bytea not null,
    revoked_at  timestamptz,
    revoked_by  text,
    constraint code_batches_wallets_do_not_end check (kind = 'promo' or credit_days is null)
);

-- Found without knowing the account, by the SHA-256 of the code.
create table codes (
    digest   bytea primary key constraint codes_digest_is_sha256 check (length(digest) = 32),
    batch_id uuid not null references code_batches,
    -- By how many accounts it was redeemed; at most as many as its batch says.
    used     bigint not null default 0 constraint codes_used_is_a_count check (used >= 0)
);
create index codes_by_batch on codes (batch_id);

-- What was redeemed. Each is one posting, whose seals are the seal of its row here. Without a key to the code, which may be on another machine.
create table redemptions (
    account_id    uuid not null references heads,
    redemption_id uuid not null,
    batch_id      uuid not null references code_batches,
    code          bytea not null,
    -- As its batch says.
    is_sole       boolean not null,
    -- The number of its posting, which is written later than this row, in the same transaction.
    posting       bigint not null,
    redeemed_by   text not null,
    redeemed_at   timestamptz not null,
    seal          bytea not null,
    primary key (account_id, redemption_id)
);
create unique index redemptions_are_of_codes_once on redemptions (account_id, code);
create unique index redemptions_are_of_batches_once on redemptions (account_id, batch_id) where is_sole;

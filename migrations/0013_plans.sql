-- Plans and packages that operators sell, who has them, and the periods that were paid for.

create table plans (
    plan_id    uuid primary key,
    name       text not null constraint plans_name_is_short check (length(name) between 1 and 80),
    created_at timestamptz not null
);
create unique index plans_name_is_unique on plans (lower(name));

-- What a plan is, as it was set from time to time. The newest is sold; who has bought an older one keeps it.
create table plan_versions (
    plan_id      uuid not null references plans,
    version      bigint not null constraint plan_versions_count_from_one check (version > 0),
    is_offered   boolean not null,
    -- How long a package lasts; null of a plan, which is by the month.
    days         integer constraint plan_versions_last_a_while check (days > 0),
    -- Nanos, each month or once.
    fee          bigint not null constraint plan_versions_fee_is_not_negative check (fee >= 0),
    unit         text not null constraint plan_versions_unit_is_known check (unit in ('money', 'tokens')),
    -- Nanos or tokens.
    allowance    bigint not null constraint plan_versions_have_an_allowance check (allowance > 0),
    -- The models that the allowance pays for; null for all.
    models       text[] constraint plan_versions_models_are_some check (cardinality(models) > 0),
    -- Whether calls beyond the allowance are refused; otherwise the wallet pays for them.
    is_refusing  boolean not null,
    -- Of every call while the plan lasts.
    discount_bps integer not null constraint plan_versions_discount_is_a_share check (discount_bps between 0 and 10000),
    set_at       timestamptz not null,
    set_by       text not null,
    -- The version of an encoding and the SHA-256 of all of the above in it.
    seal         bytea not null,
    primary key (plan_id, version)
);

-- Who has which plan. What was paid for is in the periods.
create table subscriptions (
    account_id      uuid not null references heads,
    subscription_id uuid not null,
    plan_id         uuid not null,
    version         bigint not null,
    -- Months are counted from here, so that what began on a 31st does not move to the 28th.
    anchor          timestamptz not null,
    -- When the period ends that was paid for last.
    renews_at       timestamptz not null,
    -- What follows then, if it is another.
    next_plan_id    uuid,
    next_version    bigint,
    -- Whether it ends then.
    ends            boolean not null default false,
    -- Since when the next period could not be paid for.
    unpaid_since    timestamptz,
    -- Whether it has put the account on quota, and takes it off again.
    is_quota        boolean not null,
    ended_at        timestamptz,
    primary key (account_id, subscription_id),
    foreign key (plan_id, version) references plan_versions,
    foreign key (next_plan_id, next_version) references plan_versions
);
create unique index subscriptions_are_one_at_a_time on subscriptions (account_id) where ended_at is null;
create index subscriptions_by_renewal on subscriptions (renews_at) where ended_at is null;
create index subscriptions_by_plan on subscriptions (plan_id) where ended_at is null;

-- Each month of a plan, and each package, that was paid for.
create table plan_periods (
    account_id      uuid not null references heads,
    -- Of a package, what was bought.
    subscription_id uuid not null,
    starts_at       timestamptz not null,
    ends_at         timestamptz not null,
    plan_id         uuid not null,
    version         bigint not null,
    -- What came back of the plan before it, in nanos: so much less than the fee was taken.
    credit          bigint not null constraint plan_periods_credit_is_not_negative check (credit >= 0),
    -- The number of the posting that took the fee; null where there was nothing to pay. The posting is written later than this row, in the same transaction.
    posting         bigint,
    -- Its allowance.
    grant_id        uuid not null,
    seal            bytea not null,
    primary key (account_id, subscription_id, starts_at),
    foreign key (account_id, grant_id) references grants,
    foreign key (plan_id, version) references plan_versions,
    constraint plan_periods_end_after_they_start check (ends_at > starts_at)
);

alter table journal drop constraint journal_kind_is_known;
alter table journal add constraint journal_kind_is_known check (
    kind in ('usage', 'top_up', 'adjustment', 'refund', 'promo', 'plan_fee', 'allowance', 'package', 'expiry', 'late_usage', 'call_credit')
);

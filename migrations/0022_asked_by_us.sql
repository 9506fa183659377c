-- What is asked of a provider while no customer is there: payments of accounts that are topped up by themselves, by a card that their owner has saved, and
-- refunds that operators start. And what a provider tells of that is nobody's.

create table auto_top_ups (
    account_id  uuid primary key references heads,
    is_on       boolean not null,
    -- Nanos. It pays `amount` when the balance is below `threshold`, and no more than `monthly_cap` in a month, UTC.
    threshold   bigint not null constraint auto_top_ups_threshold_is_not_negative check (threshold >= 0),
    amount      bigint not null constraint auto_top_ups_amount_is_positive check (amount > 0),
    monthly_cap bigint not null constraint auto_top_ups_cap_is_an_amount check (monthly_cap >= amount),
    -- The provider's page on which a card is being saved, or was saved last.
    setup       text,
    -- Whom the provider charges, by what, and how people know that: null until it was saved.
    customer    text,
    method      text,
    method_name text,
    -- Why it does nothing until its owner says that it may go on.
    stopped_at  timestamptz,
    stopped_by  text,
    set_by      text not null,
    set_at      timestamptz not null,
    constraint auto_top_ups_methods_are_someones check ((method is null) = (method_name is null) and (method is null or customer is not null)),
    constraint auto_top_ups_stop_for_a_reason check ((stopped_at is null) = (stopped_by is null))
);
create index auto_top_ups_on on auto_top_ups (account_id) where is_on and stopped_at is null;

-- What a payment is asked of that nobody is there for: it is asked again in the same words, whatever card is saved by then.
alter table payments add column customer text;
alter table payments add column method text;
alter table payments add constraint payments_methods_are_someones check ((method is null) = (customer is null));
-- However often the balance is found low, and by however many at once, one payment is under way.
create unique index payments_are_auto_one_at_a_time on payments (account_id) where method is not null and state = 'pending';
-- Operators page through them.
create index payments_by_time on payments (made_at, payment_id);

-- Refunds that operators have started: written down before the provider is asked. What comes of them is posted when it says so, as a movement.
create table payment_refunds (
    account_id uuid not null references heads,
    refund_id  uuid not null,
    payment_id uuid not null,
    -- Of what, as the provider calls it: it is asked again in the same words.
    intent     text not null,
    -- In the currency's smallest unit.
    minor      bigint not null constraint payment_refunds_are_of_something check (minor > 0),
    reason     text not null,
    asked_by   text not null,
    asked_at   timestamptz not null,
    -- When the provider said that it has taken it. Until then it is asked again, for as long as it knows the same words for the same refund.
    taken_at   timestamptz,
    -- Why the provider does not do it.
    refused    text,
    -- When it was left to an operator, because nobody knows whether the provider did it, and it must not be asked any more.
    unknown_at timestamptz,
    primary key (account_id, refund_id),
    foreign key (account_id, payment_id) references payments,
    constraint payment_refunds_are_taken_or_refused check (taken_at is null or refused is null)
);
create index payment_refunds_by_payment on payment_refunds (account_id, payment_id);
create index payment_refunds_to_ask on payment_refunds (asked_at) where taken_at is null and refused is null;

-- What was paid, and names no payment of ours: an operator finds out whose it is.
create table stray_payments (
    reference    text primary key,
    minor        bigint not null,
    currency     text not null,
    heard_at     timestamptz not null,
    -- When an operator said that it needs nothing more.
    dismissed_at timestamptz
);
create index stray_payments_to_look_at on stray_payments (heard_at) where dismissed_at is null;

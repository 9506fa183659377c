-- What is paid by bank transfer is a payment like any other: an operator who finds it on the bank's statement credits it, by what the bank calls it.

alter table payments drop constraint payments_provider_is_known;
alter table payments add constraint payments_provider_is_known check (provider in ('stripe', 'bank'));
-- Nobody is asked for a transfer: it is written down when it is credited, with what the bank calls it, in the same transaction.
alter table payments add constraint payments_by_bank_have_a_reference check (provider <> 'bank' or (session is not null and method is null));

-- What a plan bounds of all of an account's calls while it lasts: requests and tokens in a minute, and money (nanos) in a calendar month, UTC. Null bounds
-- nothing. They are limits of the account like any other, which come and go with its plan.
alter table plan_versions add column requests_a_minute bigint constraint plan_versions_requests_are_some check (requests_a_minute > 0);
alter table plan_versions add column tokens_a_minute bigint constraint plan_versions_tokens_are_some check (tokens_a_minute > 0);
alter table plan_versions add column money_a_month bigint constraint plan_versions_money_is_some check (money_a_month > 0);
alter table plan_versions add constraint plan_versions_of_packages_bound_nothing check (
    days is null or num_nonnulls(requests_a_minute, tokens_a_minute, money_a_month) = 0
);
alter table limits drop constraint limits_setter_is_known;
alter table limits add constraint limits_setter_is_known check (set_by in ('operator', 'account', 'plan'));

-- Where a model is answered when its provider cannot: further providers, in order. What each provider speaks, and how long it may take. What was tried of a
-- call before the provider that its row names.

alter table providers
    -- domain::catalog::Api, by name; null where it speaks every one.
    add column apis text[] constraint providers_apis_are_some check (cardinality(apis) > 0),
    -- Milliseconds; null where the proxy's own time-outs hold. The first byte is waited for no longer than the proxy itself would: after that nobody hears of
    -- a call any more, and what its proxy had leased may go back.
    add column connect_timeout_ms bigint constraint providers_connect_timeout_is_short check (connect_timeout_ms between 1 and 600000),
    add column first_byte_timeout_ms bigint constraint providers_first_byte_timeout_is_short check (first_byte_timeout_ms between 1 and 600000),
    add column idle_timeout_ms bigint constraint providers_idle_timeout_is_short check (idle_timeout_ms between 1 and 1800000);

create table fallbacks (
    model_id         uuid not null references models on delete cascade,
    provider_id      uuid not null references providers,
    -- Whose turn it is: the lowest first.
    place            bigint not null,
    upstream_name    text not null,
    -- Null where it is the model's.
    output_cap_field text constraint fallbacks_output_cap_field_is_known check (output_cap_field in ('max_tokens', 'max_completion_tokens')),
    -- Members of requests that an operator lets pass at this provider: what is opened at another bounds nothing here.
    opened           text[] not null,
    constraint fallbacks_are_unique primary key (model_id, provider_id),
    constraint fallbacks_have_places unique (model_id, place)
);

-- What failed before the provider that answered, in order; null of a call that was answered where it was first sent: domain::call::Attempt.
alter table calls add column attempts jsonb;

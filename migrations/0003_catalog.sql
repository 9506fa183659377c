-- What can be called, where it goes, and what it costs.

create table providers (
    provider_id   uuid primary key,
    name          text not null constraint providers_name_is_unique unique constraint providers_name_is_short check (length(name) between 1 and 100),
    base_url      text not null,
    -- XChaCha20-Poly1305 under the deployment's secret key; null where the upstream asks for none.
    credential    bytea,
    usage_mode    text not null constraint providers_usage_mode_is_known check (usage_mode in ('forced', 'native')),
    on_disconnect text not null constraint providers_on_disconnect_is_known check (on_disconnect in ('drain', 'cancel')),
    allow_private boolean not null,
    created_at    timestamptz not null
);

create table models (
    model_id            uuid primary key,
    name                text not null constraint models_name_is_unique unique constraint models_name_is_short check (length(name) between 1 and 200),
    provider_id         uuid not null references providers,
    upstream_name       text not null,
    context_window      bigint not null constraint models_context_window_is_positive check (context_window > 0),
    default_output_hold bigint not null constraint models_output_hold_fits check (default_output_hold between 1 and context_window),
    output_cap_field    text not null constraint models_output_cap_field_is_known check (output_cap_field in ('max_tokens', 'max_completion_tokens')),
    -- What a call can come to beyond what its request shows: domain::catalog::ModelBounds, in tokens.
    prompt_overhead     bigint not null,
    tools_overhead      bigint not null,
    picture_max         bigint not null,
    sound_max           bigint not null,
    output_min          bigint not null constraint models_output_min_fits check (output_min between 1 and context_window),
    reasoning_max       bigint not null,
    constraint models_bounds_are_counts check (least(prompt_overhead, tools_overhead, picture_max, sound_max, reasoning_max) >= 0),
    created_at          timestamptz not null
);

-- A version is never changed: a call names the one it was priced by, and anyone can price it again.
create table price_versions (
    price_id       uuid primary key,
    model_id       uuid not null references models,
    kind           text not null constraint price_versions_kind_is_known check (kind in ('sale', 'cost')),
    effective_from timestamptz not null,
    -- domain::rates::Rates: decimal strings in currency units per 1,000 tokens.
    rates          jsonb not null,
    created_at     timestamptz not null,
    created_by     text not null,
    -- The version of an encoding and the SHA-256 of all of the above in it.
    seal           bytea not null,
    constraint price_versions_are_unique unique (model_id, kind, effective_from)
);

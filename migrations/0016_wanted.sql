-- Models that calls asked for and did not get, since nobody sells them or they have no price: what an operator may want to add. Counts, and no money.
create table wanted_models (
    name     text primary key constraint wanted_models_name_is_short check (length(name) between 1 and 100),
    -- Calls that were refused for it.
    calls    bigint not null constraint wanted_models_calls_are_some check (calls > 0),
    first_at timestamptz not null,
    last_at  timestamptz not null
);

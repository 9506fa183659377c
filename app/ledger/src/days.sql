-- The days (UTC) of an account ($1) from its first call, or from $2, to its last, or to before $3: before the queries that look at them one by one.
with span as (
    select min(started_at) as first, max(started_at) as last from calls where account_id = $1
), days as (
    select day
    from span, generate_series(
        date_trunc('day', greatest($2, first), 'UTC'), least($3 - interval '1 microsecond', last), interval '24 hours'
    ) day
    where first is not null
)

-- What the calls of an account ($1) from $2 on, and before $3 if that is there, of one run ($4) came to, corrections included: money, tokens or requests ($5).
with span as (
    select min(started_at) as first, max(started_at) as last from calls where account_id = $1
), days as (
    select day from span, generate_series(date_trunc('day', greatest($2, first), 'UTC'), least($3, last), interval '24 hours') day
    where first is not null
), of_run as (
    select * from calls c
    where c.account_id = $1 and c.started_at >= $2 and ($3::timestamptz is null or c.started_at < $3) and c.session = $4
        and (c.end_user is not null or c.session is not null or c.tags is not null)
        and claims(c.account_id, c.started_at, c.end_user, c.session, c.tags) && (select array_agg(claim($1, day, 'session', $4)) from days)
)
select coalesce(sum(case $5 when 'money' then amount when 'tokens' then total_tokens else requests end), 0)::bigint as "used!"
from (
    select amount, total_tokens, 1 as requests from of_run
    union all
    select x.amount, x.total_tokens, 0 from corrections x join of_run using (account_id, started_at, call_id)
) figures

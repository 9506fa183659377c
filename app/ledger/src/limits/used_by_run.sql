-- What the calls of an account ($1) from $2 on, and before $3 if that is there, of one run ($4) came to, corrections included: money, tokens or requests ($5).
select coalesce(sum(case $5 when 'money' then amount when 'tokens' then total_tokens else requests end), 0)::bigint as "used!"
from (
    select amount, total_tokens, 1 as requests from calls
    where account_id = $1 and started_at >= $2 and ($3::timestamptz is null or started_at < $3) and session = $4
    union all
    select x.amount, x.total_tokens, 0
    from corrections x
    join calls c using (account_id, started_at, call_id)
    where x.account_id = $1 and x.started_at >= $2 and ($3::timestamptz is null or x.started_at < $3) and c.session = $4
) figures

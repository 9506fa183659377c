-- A page of an account's ($1) calls from $2 to before $3, and before a call ($4, $5) if there is one: at most $6, newest first.
with page as (
    select * from calls
    where account_id = $1 and started_at >= $2 and started_at < $3 and ($4::timestamptz is null or (started_at, call_id) < ($4, $5))
    order by started_at desc, call_id desc
    limit $6
)

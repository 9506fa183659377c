-- A page of an account's ($1) calls from $2 to before $3, and before a call ($4, $5) if there is one: at most $6, newest first.
select
    c.*, coalesce(k.name, '') as key_name, x.prompt_tokens as more_prompt_tokens, x.completion_tokens as more_completion_tokens,
    x.total_tokens as more_total_tokens, x.amount as more_amount
from (
    select * from calls
    where account_id = $1 and started_at >= $2 and started_at < $3 and ($4::timestamptz is null or (started_at, call_id) < ($4, $5))
    order by started_at desc, call_id desc
    limit $6
) c
left join api_keys k using (account_id, key_id)
left join lateral (
    select
        sum(prompt_tokens)::bigint as prompt_tokens, sum(completion_tokens)::bigint as completion_tokens,
        sum(total_tokens)::bigint as total_tokens, sum(amount)::bigint as amount
    from corrections where account_id = c.account_id and call_id = c.call_id
) x on true
order by c.started_at desc, c.call_id desc

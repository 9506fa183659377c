-- The rows of usage_daily that are not the sums of an account's ($1) calls and corrections from an instant ($2) on: row, expected, found.
with figures as (
    select
        started_at, key_id, model, stream, outcome, project_id, coalesce(client, '') as client, 1 as requests, prompt_tokens, completion_tokens,
        total_tokens, amount, written_off
    from calls
    where account_id = $1 and started_at >= $2
    union all
    select
        c.started_at, c.key_id, c.model, c.stream, c.outcome, c.project_id, coalesce(c.client, ''), 0, x.prompt_tokens, x.completion_tokens,
        x.total_tokens, x.amount, x.written_off
    from corrections x
    join calls c using (account_id, started_at, call_id)
    where x.account_id = $1 and x.started_at >= $2
), sums as (
    select
        date_trunc('day', started_at, 'UTC') as day, key_id, model, stream, outcome, project_id, client, sum(requests) as requests,
        coalesce(sum(prompt_tokens), 0) as prompt_tokens, coalesce(sum(completion_tokens), 0) as completion_tokens,
        coalesce(sum(total_tokens), 0) as total_tokens, sum(amount) as amount, sum(written_off) as written_off
    from figures
    group by 1, 2, 3, 4, 5, 6, 7
), stored as (
    select * from usage_daily where account_id = $1 and day >= $2
)
select
    concat_ws(' ', 'usage_daily', $1, day, key_id, model, case when stream then 'stream' else 'plain' end, outcome, project_id, client),
    (s.requests, s.prompt_tokens, s.completion_tokens, s.total_tokens, s.amount, s.written_off)::text,
    (u.requests, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.amount, u.written_off)::text
from sums s
full join stored u using (day, key_id, model, stream, outcome, project_id, client)
where (s.requests, s.prompt_tokens, s.completion_tokens, s.total_tokens, s.amount, s.written_off)
    is distinct from (u.requests, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.amount, u.written_off)
limit 100

-- The rows of usage_daily that are not the sums of an account's ($1) calls and corrections from an instant ($2) on: row, expected, found.
with sums as (
    select
        date_trunc('day', started_at, 'UTC') as day, key_id, model, stream, outcome, project_id, client, sum(requests) as requests,
        sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens, sum(total_tokens) as total_tokens,
        sum(amount) as amount, sum(written_off) as written_off
    from figures
    where account_id = $1 and started_at >= $2
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

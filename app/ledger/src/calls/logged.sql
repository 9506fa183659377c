-- What the log shows of each call of a page, newest first: behind the queries that say which calls those are. That they are the account's ($1) is said
-- again, since a planner that knows it only of the page looks for the rest on every machine.
select
    c.*, coalesce(k.name, '') as key_name, x.prompt_tokens as more_prompt_tokens, x.completion_tokens as more_completion_tokens,
    x.total_tokens as more_total_tokens, x.amount as more_amount
from page c
left join api_keys k on k.account_id = $1 and k.key_id = c.key_id
left join lateral (
    select
        sum(prompt_tokens)::bigint as prompt_tokens, sum(completion_tokens)::bigint as completion_tokens,
        sum(total_tokens)::bigint as total_tokens, sum(amount)::bigint as amount
    from corrections where account_id = $1 and call_id = c.call_id
) x on true
order by c.started_at desc, c.call_id desc

-- What an account ($1) used, by day, key and model, that is in its postings of a month ($2 to before $3): calls that were posted before $4, where the hour
-- begins that is not summed up yet, and corrections. What began in the month is its sums by day, less what was posted later; the rest is few.
with booked as (
    select false as is_late, day, key_id, model, requests, prompt_tokens, completion_tokens, total_tokens, amount, written_off
    from usage_daily
    where account_id = $1 and day >= $2 and day < $3
    union all
    select
        false, date_trunc('day', started_at, 'UTC'), key_id, model, -requests, -prompt_tokens, -completion_tokens, -total_tokens, -amount, -written_off
    from dated_figures
    where account_id = $1 and started_at >= $2 and started_at < $3 and posted_at >= case when is_correction then $3 else $4 end
    union all
    select
        true, date_trunc('day', started_at, 'UTC'), key_id, model, requests, prompt_tokens, completion_tokens, total_tokens, amount, written_off
    from dated_figures
    where account_id = $1 and started_at < $2 and posted_at >= $2 and posted_at < case when is_correction then $3 else $4 end
    union all
    -- Begun by a proxy whose clock is ahead.
    select
        false, date_trunc('day', started_at, 'UTC'), key_id, model, requests, prompt_tokens, completion_tokens, total_tokens, amount, written_off
    from dated_figures
    where account_id = $1 and started_at >= $3 and posted_at >= $2 and posted_at < case when is_correction then $3 else $4 end
)
select
    is_late as "is_late!", day as "day!", key_id as "key!: KeyId", model as "model!", sum(requests)::bigint as "requests!",
    sum(prompt_tokens)::bigint as "prompt_tokens!: Tokens", sum(completion_tokens)::bigint as "completion_tokens!: Tokens",
    sum(total_tokens)::bigint as "total_tokens!: Tokens", sum(amount)::bigint as "amount!: Amount", sum(written_off)::bigint as "written_off!: Amount"
from booked
group by 1, 2, 3, 4
having (sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(total_tokens), sum(amount), sum(written_off)) <> (0, 0, 0, 0, 0, 0)
order by 1, 2, 3, 4

-- What an account's ($1) calls from $2 to before $3 came to, corrections included, by the step ($4) in which they began, key, project and model: of a key
-- ($5), a model ($6), an outcome ($7), streams or not ($8), a project ($9) and a client ($10), each null for all, and of those only the calls of which
-- their client said $12 for $11 (see function claim), and all of: end user ($13), session ($14), a tag ($15) and its value ($16), null for any.
, found as (
    select c.* from calls c
    where c.account_id = $1 and c.started_at >= $2 and c.started_at < $3
        and claims(c.account_id, c.started_at, c.end_user, c.session, c.tags) && (select array_agg(claim($1, day, $11, $12)) from days)
        and (c.end_user is not null or c.session is not null or c.tags is not null)
        and ($13::text is null or c.end_user = $13) and ($14::text is null or c.session = $14)
        and ($15::text is null or c.tags ? $15) and ($16::text is null or c.tags ->> $15 = $16)
        and ($5::uuid is null or c.key_id = $5) and ($6::text is null or c.model = $6)
        and ($7::text is null or c.outcome = $7) and ($8::boolean is null or c.stream = $8)
        and ($9::uuid is null or c.project_id = $9) and ($10::text is null or c.client = $10)
), corrected as (
    select
        call_id, sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens, sum(total_tokens) as total_tokens,
        sum(amount) as amount
    from corrections
    where account_id = $1 and started_at >= $2 and started_at < $3
    group by call_id
)
select
    date_trunc($4, c.started_at, 'UTC') as start, c.key_id, c.project_id, c.model, count(*) as requests,
    sum(coalesce(c.prompt_tokens, 0) + coalesce(x.prompt_tokens, 0))::bigint as prompt_tokens,
    sum(coalesce(c.completion_tokens, 0) + coalesce(x.completion_tokens, 0))::bigint as completion_tokens,
    sum(coalesce(c.total_tokens, 0) + coalesce(x.total_tokens, 0))::bigint as total_tokens,
    sum(c.amount + coalesce(x.amount, 0))::bigint as amount
from found c
left join corrected x using (call_id)
group by 1, 2, 3, 4

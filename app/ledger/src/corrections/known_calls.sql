-- Those of these calls that are in the books: accounts ($1), starts ($2) and ids ($3), each list in the same order.
select
    c.call_id, c.key_id, k.user_id as member, c.project_id, c.session, c.client, c.model, c.stream, c.outcome, c.source, c.prompt_tokens,
    c.completion_tokens, c.total_tokens, c.amount, c.tokens_paid, c.grant_id, c.paid_by,
    exists (
        select from corrections x where x.account_id = c.account_id and x.call_id = c.call_id and x.kind = 'late_usage'
    ) as is_settled_late
from unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) b (account_id, started_at, call_id)
join calls c on c.account_id = b.account_id and c.started_at = b.started_at and c.call_id = b.call_id
left join api_keys k on k.account_id = c.account_id and k.key_id = c.key_id

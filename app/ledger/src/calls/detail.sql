-- One call of an account ($1), by its start ($2) and its id ($3), with what its receipt rests on.
select
    c.*, coalesce(k.name, '') as key_name, coalesce(p.name, '') as project_name, coalesce(p.created_at, c.started_at) as project_created_at,
    v.rates, v.effective_from, v.service_tier as price_tier,
    exists (
        select from heads h where h.account_id = $1 and h.hour = date_trunc('hour', c.posted_at, 'UTC')
    ) as hour_is_open
from calls c
join price_versions v using (price_id)
left join projects p on p.account_id = c.account_id and p.project_id = c.project_id
left join api_keys k on k.account_id = c.account_id and k.key_id = c.key_id
where c.account_id = $1 and c.started_at = $2 and c.call_id = $3

-- The same as page.sql, of a key ($7), a model ($8), an outcome ($9), streams or not ($10), a project ($11) and a client ($12), each null for all, and of
-- those only the calls of which their client said $14 for $13 (see function claim), and all of: end user ($15), session ($16), a tag ($17) and its value
-- ($18), null for any. Day by day, the newest first, until there are enough.
, page as (
    select c.*
    from (select day from days order by day desc) d
    cross join lateral (
        select * from calls
        where account_id = $1 and started_at >= greatest(d.day, $2) and started_at < least(d.day + interval '24 hours', $3)
            and ($4::timestamptz is null or (started_at, call_id) < ($4, $5))
            and claims(account_id, started_at, end_user, session, tags) @> array[claim($1, d.day, $13, $14)]
            and (end_user is not null or session is not null or tags is not null)
            and ($15::text is null or end_user = $15) and ($16::text is null or session = $16)
            and ($17::text is null or tags ? $17) and ($18::text is null or tags ->> $17 = $18)
            and ($7::uuid is null or key_id = $7) and ($8::text is null or model = $8)
            and ($9::text is null or outcome = $9) and ($10::boolean is null or stream = $10)
            and ($11::uuid is null or project_id = $11) and ($12::text is null or client = $12)
        order by started_at desc, call_id desc
        limit $6
    ) c
    order by d.day desc, c.started_at desc, c.call_id desc
    limit $6
)

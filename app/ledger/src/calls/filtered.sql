-- The same as page.sql, of a key ($7), a model ($8), an outcome ($9), streams or not ($10), a project ($11) and a client ($12), each null for all. The
-- sums say on which days, and then in
-- which hours, there are such calls, so that few matches among many calls are found without reading those.
with days as (
    select day, sum(requests) as calls from usage_daily
    where account_id = $1 and day >= date_trunc('day', $2, 'UTC') and day < $3 and ($4::timestamptz is null or day <= $4)
        and ($7::uuid is null or key_id = $7) and ($8::text is null or model = $8)
        and ($9::text is null or outcome = $9) and ($10::boolean is null or stream = $10)
        and ($11::uuid is null or project_id = $11) and ($12::text is null or client = $12)
    group by day
), enough_days as (
    -- Of the newest day, some of the calls may be on pages before.
    select day from (
        select day, sum(calls) over older - first_value(calls) over (order by day desc) as seen from days
        window older as (order by day desc rows between unbounded preceding and 1 preceding)
    ) d
    where seen is null or seen < $6
), hours as (
    select h.hour, h.calls
    from enough_days d
    cross join lateral (
        -- Grouped here, day by day: joined as a whole, all the hours of the period would be read.
        select hour, sum(requests) as calls from usage_hourly
        where account_id = $1 and hour >= d.day and hour < d.day + interval '24 hours'
            and hour >= date_trunc('hour', $2, 'UTC') and hour < $3 and ($4::timestamptz is null or hour <= $4)
            and ($7::uuid is null or key_id = $7) and ($8::text is null or model = $8)
            and ($9::text is null or outcome = $9) and ($10::boolean is null or stream = $10)
            and ($11::uuid is null or project_id = $11) and ($12::text is null or client = $12)
        group by hour
    ) h
), enough_hours as (
    select hour from (
        select hour, sum(calls) over older - first_value(calls) over (order by hour desc) as seen from hours
        window older as (order by hour desc rows between unbounded preceding and 1 preceding)
    ) h
    where seen is null or seen < $6
), page as (
    select c.*
    from enough_hours h
    cross join lateral (
        select * from calls
        where account_id = $1 and started_at >= greatest(h.hour, $2) and started_at < least(h.hour + interval '1 hour', $3)
            and ($4::timestamptz is null or (started_at, call_id) < ($4, $5))
            and ($7::uuid is null or key_id = $7) and ($8::text is null or model = $8)
            and ($9::text is null or outcome = $9) and ($10::boolean is null or stream = $10)
            and ($11::uuid is null or project_id = $11) and ($12::text is null or client = $12)
        order by started_at desc, call_id desc
        limit $6
    ) c
    order by c.started_at desc, c.call_id desc
    limit $6
)

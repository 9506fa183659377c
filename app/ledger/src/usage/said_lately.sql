-- What clients said of the latest calls of an account ($1): end users, and values of tags; of each the first by name, since nobody looks through more.
with latest as (
    select end_user, tags from calls where account_id = $1 order by started_at desc, call_id desc limit 500
), said as (
    select distinct null as tag, end_user as value from latest where end_user is not null
    union all
    select distinct t.key, t.value from latest cross join jsonb_each_text(tags) t
), counted as (
    select tag, value, row_number() over (partition by tag order by value) as place, dense_rank() over (order by tag nulls first) as name from said
)
select tag, value from counted where place <= 50 and name <= 21 order by tag, value

-- Every call, its rollups by hour and day, and what could not be posted.

-- A call's time is inside its id (UUIDv7, RFC 9562 section 5.7), so that one id has one possible row whatever happens.
create function uuid_v7_time(id uuid) returns timestamptz
    language sql immutable strict parallel safe
    return timestamptz 'epoch' + ('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint * interval '1 millisecond';

-- Something that a client said of a call of a day (UTC), as a number: the index of calls by what was said of them keeps these, day by day, so that one
-- day's are found without looking at the others. Two may share a number, hence whoever looks compares the columns too.
create function claim(account_id uuid, at timestamptz, what text, value text) returns bigint
    language sql immutable parallel safe
    return hashtextextended(
        account_id::text || ' ' || what || '=' || value, extract(day from date_bin('1 day', at, 'epoch') - timestamptz 'epoch')::bigint
    );

create function claims_of_tags(account_id uuid, started_at timestamptz, tags jsonb) returns bigint[]
    language sql immutable parallel safe
    return (
        select array_agg(claim(account_id, started_at, said.what, said.value))
        from jsonb_each_text(tags) t
        cross join lateral (values ('tag', t.key), ('tag ' || t.key, t.value)) said (what, value)
    );

-- All that a client said of a call by which it is found; a tag by its name alone too. An expression without a query, which PostgreSQL puts in the place of
-- a call of this function.
create function claims(account_id uuid, started_at timestamptz, end_user text, session text, tags jsonb) returns bigint[]
    language sql immutable parallel safe
    return array_remove(array[claim(account_id, started_at, 'end_user', end_user), claim(account_id, started_at, 'session', session)], null)
        || case when tags is not null then claims_of_tags(account_id, started_at, tags) end;

-- What is of one size stands first, so that nothing is lost to alignment.
create table calls (
    started_at            timestamptz not null,
    -- The books have it in their usage of this hour.
    posted_at             timestamptz not null,
    -- As reported; null is "not reported".
    prompt_tokens         bigint,
    completion_tokens     bigint,
    total_tokens          bigint,
    -- Disjoint buckets, each with its own rate.
    input_tokens          bigint,
    cache_read_tokens     bigint,
    cache_write_5m_tokens bigint,
    cache_write_1h_tokens bigint,
    audio_input_tokens    bigint,
    output_tokens         bigint,
    reasoning_tokens      bigint,
    audio_output_tokens   bigint,
    amount                bigint not null constraint calls_amount_is_not_negative check (amount >= 0),
    held                  bigint not null,
    -- The most tokens that it could take: what limits of tokens count of it is at most this.
    tokens_held           bigint not null constraint calls_tokens_held_is_not_negative check (tokens_held >= 0),
    -- What a token grant paid of them; such a call costs no money. Null of a call that is paid in money, or costs nothing.
    tokens_paid           bigint constraint calls_tokens_paid_are_within_their_hold check (
                              tokens_paid is null or (tokens_paid between 0 and tokens_held and tokens_held > 0)
                          ),
    -- What of its price exceeds the hold: nobody pays it.
    written_off           bigint not null constraint calls_written_off_is_not_negative check (written_off >= 0),
    latency_ms            bigint not null,
    first_byte_ms         bigint,
    discount_bps          integer not null,
    http_status           integer,
    stream                boolean not null,
    -- Whether its account pays what it costs beyond its hold, too.
    is_lenient            boolean not null,
    account_id            uuid not null,
    call_id               uuid not null,
    key_id                uuid not null,
    -- The project that the key was in.
    project_id            uuid not null,
    price_id              uuid not null,
    -- Who paid, if it was one grant.
    grant_id              uuid,
    model                 text not null,
    provider              text not null,
    upstream_model        text,
    outcome               text not null constraint calls_outcome_is_known check (outcome in ('ok', 'upstream_error', 'client_left', 'interrupted')),
    source                text not null constraint calls_source_is_known check (source in ('upstream', 'estimated', 'interrupted', 'none')),
    -- What is wrong with the upstream's numbers: they contradict each other, or are more than the call can have used.
    flag                  text constraint calls_flag_is_known check (flag in ('contradictory', 'excessive')),
    -- What the client said of it: for whom and in which run it was made, by what software, and any names and values ({name: value}) besides.
    end_user              text,
    session               text,
    client                text,
    tags                  jsonb,
    -- Who paid, if they were several: [{"grant_id": …, "amount": nanos}], which sums to amount. Tokens are paid by one.
    paid_by               jsonb,
    -- The upstream's usage object, byte for byte, compressed: a version, its length in four bytes (little-endian), an LZ4 block.
    raw_usage             bytea,
    -- The version of an encoding and the SHA-256 of all of the above in it, so that a changed row is found whichever column was changed.
    seal                  bytea not null,
    primary key (account_id, started_at, call_id),
    constraint calls_start_is_in_the_id check (started_at = uuid_v7_time(call_id)),
    constraint calls_charge_is_within_its_hold check (amount <= held or is_lenient),
    constraint calls_write_off_begins_at_the_hold check (written_off = 0 or amount = held),
    constraint calls_are_paid_in_money_or_in_tokens check (
        tokens_paid is null or (amount = 0 and written_off = 0 and paid_by is null and (tokens_paid > 0) = (grant_id is not null))
    )
) partition by range (started_at);
-- What waits to be put into the index is read through by whoever looks: it is kept short.
create index calls_by_claim on calls using gin (claims(account_id, started_at, end_user, session, tags)) with (gin_pending_list_limit = 128)
    where end_user is not null or session is not null or tags is not null;

-- What changes a call's figures after it was posted: rows of their own, since a call's row never changes. A call's figures are its own and theirs.
create table corrections (
    account_id        uuid not null,
    started_at        timestamptz not null,
    call_id           uuid not null,
    -- Its posting in the journal.
    seq               bigint not null,
    kind              text not null constraint corrections_kind_is_known check (kind in ('late_usage', 'credit')),
    -- What it adds to the call's; below zero it takes away.
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    total_tokens      bigint not null,
    amount            bigint not null,
    -- What it adds to the tokens that were paid; null of a call that is paid in money.
    tokens_paid       bigint,
    written_off       bigint not null constraint corrections_written_off_is_not_negative check (written_off >= 0),
    -- [{"grant_id": …, "amount": nanos or tokens}]: who paid; below zero it was given back.
    paid_by           jsonb not null,
    -- The settlement that came late: ledger::SettledCall as JSON.
    settlement        text,
    posted_at         timestamptz not null,
    seal              bytea not null,
    -- Without a key to its call: months of calls may be dropped, what was corrected stays.
    primary key (account_id, call_id, seq),
    foreign key (account_id, seq) references journal,
    constraint corrections_late_usage_has_its_settlement check ((kind = 'late_usage') = (settlement is not null)),
    constraint corrections_credit_gives_back check (kind <> 'credit' or coalesce(tokens_paid, amount) < 0),
    constraint corrections_are_paid_in_money_or_in_tokens check (tokens_paid is null or (amount = 0 and written_off = 0))
);
-- A settlement comes late once.
create unique index corrections_one_late_usage on corrections (account_id, call_id) where kind = 'late_usage';

-- Partitions are made ahead by a job that may not create tables, hence security definer. One call makes one month. It is made apart and attached, which
-- keeps no call that is read or posted meanwhile waiting.
create function make_calls_partition(month date) returns void
    language plpgsql security definer set search_path = public
as $$
declare
    first date := date_trunc('month', month);
    part text := 'calls_' || to_char(first, 'YYYY_MM');
    starts timestamptz := first::timestamp at time zone 'UTC';
    ends timestamptz := (first + interval '1 month')::timestamp at time zone 'UTC';
    grantee name;
begin
    -- Two that make the same month at once would both find it missing.
    perform pg_advisory_xact_lock(hashtext('make_calls_partition'));
    if to_regclass(part) is null then
        execute format('create table %I (like calls including defaults including constraints including indexes)', part);
        execute format('alter table calls attach partition %I for values from (%L) to (%L)', part, starts, ends);
    end if;
    -- A month is reached through its table alone, whatever rights new tables are given by default.
    for grantee in
        select distinct r.rolname from pg_class c cross join aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
        where c.oid = to_regclass(part) and a.grantee <> c.relowner
    loop
        execute format('revoke all on %I from %I', part, grantee);
    end loop;
end
$$;

create table usage_hourly (
    account_id        uuid not null,
    hour              timestamptz not null,
    key_id            uuid not null,
    project_id        uuid not null,
    model             text not null,
    stream            boolean not null,
    outcome           text not null,
    -- Empty where it is not known.
    client            text not null,
    requests          bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    total_tokens      bigint not null,
    amount            bigint not null,
    written_off       bigint not null,
    primary key (account_id, hour, key_id, model, stream, outcome, project_id, client)
);

create table usage_daily (
    account_id        uuid not null,
    day               timestamptz not null,
    key_id            uuid not null,
    project_id        uuid not null,
    model             text not null,
    stream            boolean not null,
    outcome           text not null,
    -- Empty where it is not known.
    client            text not null,
    requests          bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    total_tokens      bigint not null,
    amount            bigint not null,
    written_off       bigint not null,
    primary key (account_id, day, key_id, model, stream, outcome, project_id, client)
);

-- What each call, and each correction of one, adds to the sums of the hour and the day in which the call began.
create view figures as
    select
        account_id, started_at, key_id, model, stream, outcome, project_id, coalesce(client, '') as client, 1::bigint as requests,
        coalesce(prompt_tokens, 0) as prompt_tokens, coalesce(completion_tokens, 0) as completion_tokens,
        coalesce(total_tokens, 0) as total_tokens, amount, written_off
    from calls
    union all
    select
        c.account_id, c.started_at, c.key_id, c.model, c.stream, c.outcome, c.project_id, coalesce(c.client, ''), 0,
        x.prompt_tokens, x.completion_tokens, x.total_tokens, x.amount, x.written_off
    from corrections x
    join calls c using (account_id, started_at, call_id);

-- The keys page and GET /v1/key ask what one key spent, and when it was last used. In the primary keys the key comes after the time, so that each such
-- question would read every hour of the account.
create index usage_hourly_by_key on usage_hourly (account_id, key_id, hour);
create index usage_daily_by_key on usage_daily (account_id, key_id, day);

-- A settled call that the ledger refused, whole, until a person has looked at it. Its hold stays.
create table quarantine (
    account_id uuid not null,
    call_id    uuid not null,
    -- Whether it is the call's own settlement, which may come when the call was settled as interrupted; both may be here.
    is_own     boolean not null,
    call       text not null,
    reason     text not null,
    at         timestamptz not null,
    primary key (account_id, call_id, is_own)
);

-- What was in quarantine stays there for the record. A call's own settlement is posted as the call, or as its late usage.
create view quarantine_of_unposted as
    select account_id, call_id, is_own, call, reason, at from quarantine q
    where not exists (
        select from calls c
        where c.account_id = q.account_id and c.started_at = uuid_v7_time(q.call_id) and c.call_id = q.call_id
            and (not q.is_own or c.source <> 'interrupted')
    )
    and not exists (
        select from corrections x where x.account_id = q.account_id and x.call_id = q.call_id and x.kind = 'late_usage'
    )
    order by at;
-- Only the application may make months, and only so.
revoke execute on function make_calls_partition from public;

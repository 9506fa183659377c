-- Leases of slices: what each life of a proxy has leased of an account's pools, in place of a hold in the database for each call.
--
-- Calls are held in the proxy's memory, against slices. Of every pool: available + all slices + used = capacity.

update schema_contract set oldest_writer = 7;

-- The lives of proxies, each from its start until all that it had leased has gone back.
create table epochs (
    epoch_id    uuid primary key,
    proxy       uuid not null,
    -- When the spool was made that its calls are in: whose spool that is ends the epoch when all of it is posted.
    spool_since timestamptz not null,
    begun_at    timestamptz not null,
    -- Until then it admits calls, unless it says anew that it goes on.
    expires_at  timestamptz not null,
    -- How much longer a call that it admitted last may run and take to be posted: after that nobody hears of its calls any more.
    longest_ms  bigint not null constraint epochs_longest_is_not_negative check (longest_ms >= 0),
    -- When it said so last, and what else it said: calls that run, calls that are in its spool and not posted, and since when the oldest of them is.
    renewed_at  timestamptz not null,
    running     bigint not null default 0,
    unposted    bigint not null default 0,
    unposted_since timestamptz,
    -- When it was found to be over: from then on it leases nothing and gives nothing back, and somebody ends what it had.
    over_at     timestamptz
);
create index epochs_by_proxy on epochs (proxy);

alter table leases rename to holds_of_calls;
alter table holds_of_calls rename constraint leases_pkey to holds_of_calls_pkey;

-- What an epoch has leased of an account. It stays while the epoch does, so that no change of it is applied twice.
create table leases (
    account_id uuid not null references heads,
    epoch_id   uuid not null,
    -- The change that was applied last.
    number     bigint not null,
    primary key (account_id, epoch_id)
);
create index leases_by_epoch on leases (epoch_id);

-- A part of a pool that is leased: free, held by running calls, or used by calls that are not posted yet.
create table slices (
    account_id uuid not null,
    epoch_id   uuid not null,
    grant_id   uuid,
    limit_id   uuid,
    starts_at  timestamptz,
    amount     bigint not null constraint slices_amount_is_positive check (amount > 0),
    -- What the change of this number gave, to be said again to whoever did not hear it.
    given      bigint not null,
    number     bigint not null,
    foreign key (account_id, epoch_id) references leases on delete cascade,
    foreign key (account_id, grant_id) references grants,
    foreign key (account_id, limit_id, starts_at) references limit_windows,
    constraint slices_are_of_one_pool check ((grant_id is null) = (limit_id is not null) and (limit_id is null) = (starts_at is null))
);
create unique index slices_by_pool on slices (account_id, epoch_id, grant_id, limit_id, starts_at) nulls not distinct;

-- Intents become announcements of calls that run for long: from them a call is settled whose proxy is lost with its spool.
alter table intents add column epoch_id uuid, add column split jsonb;

-- Calls that run while this is applied: what a proxy holds for them becomes one epoch's, which nobody renews.
insert into epochs (epoch_id, proxy, spool_since, begun_at, renewed_at, expires_at, longest_ms)
select proxy, proxy, now(), now(), now(), max(expires_at), 0 from intents group by proxy;

insert into leases (account_id, epoch_id, number) select distinct account_id, proxy, 0 from intents;

insert into slices (account_id, epoch_id, grant_id, limit_id, starts_at, amount, given, number)
select i.account_id, i.proxy, h.grant_id, h.limit_id, h.starts_at, sum(h.amount), 0, 0
from holds_of_calls h join intents i on i.account_id = h.account_id and i.call_id = h.lease_id
group by 1, 2, 3, 4, 5;

update intents i set
    epoch_id = proxy,
    split = jsonb_build_object(
        'payment', (
            select coalesce(jsonb_agg(
                jsonb_build_object('pool', jsonb_build_object('grant', h.grant_id), 'unit', g.unit, 'quantity', h.amount) order by h.place
            ), '[]')
            from holds_of_calls h join grants g on g.account_id = h.account_id and g.grant_id = h.grant_id
            where h.account_id = i.account_id and h.lease_id = i.call_id
        ),
        'limits', (
            select coalesce(jsonb_agg(
                jsonb_build_object(
                    'pool', jsonb_build_object('limit', jsonb_build_object(
                        'id', h.limit_id, 'from', to_char(h.starts_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                    )),
                    'unit', l.unit, 'quantity', h.amount
                ) order by h.place
            ), '[]')
            from holds_of_calls h join limits l on l.account_id = h.account_id and l.limit_id = h.limit_id
            where h.account_id = i.account_id and h.lease_id = i.call_id
        )
    );

drop table holds_of_calls;
alter table intents alter column epoch_id set not null, alter column split set not null, drop column proxy, drop column expires_at;
create index intents_by_epoch on intents (epoch_id);

-- Accounts that every proxy is to look at anew, and since when. What is older than a minute every proxy has seen.
create table notices (
    account_id uuid primary key,
    -- What is idle of them is wanted back.
    at         timestamptz not null,
    -- Their keys, their terms or their limits have changed.
    changed_at timestamptz
);
create index notices_by_time on notices (at);

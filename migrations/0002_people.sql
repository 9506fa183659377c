-- Who pays, who signs in, and the keys that open the proxy.
--
-- Tenant tables lead with account_id in every key, so that the schema can be spread over machines by it. What must be found without knowing
-- the account (users, sessions, key digests) is a small table of its own.

create table accounts (
    account_id   uuid primary key,
    name         text not null constraint accounts_name_is_short check (length(name) between 1 and 200),
    status       text not null default 'active' constraint accounts_status_is_known check (status in ('active', 'suspended', 'closed')),
    discount_bps integer not null default 0 constraint accounts_discount_is_a_share check (discount_bps between 0 and 10000),
    -- Demo mode refuses a database that holds any account without it.
    is_demo      boolean not null default false,
    created_at   timestamptz not null
);

create index accounts_by_name on accounts (lower(name), account_id);

create table users (
    user_id       uuid primary key,
    email         text not null constraint users_email_is_short check (length(email) between 3 and 254),
    password_hash text not null,
    is_operator   boolean not null default false,
    created_at    timestamptz not null
);
-- One person per address, however they spell its case.
create unique index users_email_is_unique on users (lower(email));

-- Without a key to the account: it may be on another machine.
create table memberships (
    account_id uuid not null,
    user_id    uuid not null references users,
    role       text not null constraint memberships_role_is_known check (role in ('viewer', 'member', 'owner')),
    created_at timestamptz not null,
    primary key (account_id, user_id)
);
create index memberships_by_user on memberships (user_id);

create table sessions (
    session_id text primary key,
    -- Null until someone signs in. A new password ends the sessions of its user.
    user_id    uuid references users,
    data       bytea not null,
    expires_at timestamptz not null
);
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

-- Parts of an account. The first one bears the account's own id.
create table projects (
    account_id uuid not null references accounts,
    project_id uuid not null,
    name       text not null constraint projects_name_is_short check (length(name) between 1 and 100),
    created_at timestamptz not null,
    primary key (account_id, project_id)
);
create unique index projects_name_is_unique on projects (account_id, lower(name));

create table api_keys (
    account_id uuid not null references accounts,
    key_id     uuid not null,
    -- The project of the calls that are made with it from now on. Calls that were made stay where they are.
    project_id uuid not null,
    -- The member whose key it is; null if it is nobody's own.
    user_id    uuid references users,
    name       text not null constraint api_keys_name_is_short check (length(name) between 1 and 100),
    last_four  text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    primary key (account_id, key_id),
    foreign key (account_id, project_id) references projects
);

-- A presented key is found by its SHA-256 alone; the key itself is stored nowhere. Without a key to it, likewise.
create table key_digests (
    digest     bytea primary key constraint key_digests_are_sha256 check (length(digest) = 32),
    account_id uuid not null,
    key_id     uuid not null
);

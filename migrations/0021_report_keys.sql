-- Keys that read an account's usage and costs, and nothing else: for programs that report, which must be able neither to call a model nor to see more.

create table report_keys (
    account_id uuid not null references accounts,
    key_id     uuid not null,
    name       text not null constraint report_keys_name_is_short check (length(name) between 1 and 100),
    last_four  text not null,
    created_at timestamptz not null,
    revoked_at timestamptz,
    primary key (account_id, key_id)
);

-- As key_digests: a presented key is found by its SHA-256 alone, and the key itself is stored nowhere.
create table report_key_digests (
    digest     bytea primary key constraint report_key_digests_are_sha256 check (length(digest) = 32),
    account_id uuid not null,
    key_id     uuid not null
);

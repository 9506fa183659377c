-- A customer may have a price of its own: from an instant on it takes the place of the one that everyone pays, until it ends. Calls name the version that
-- they were charged by, whoever it is for.

-- An older version would charge by what one customer has agreed on as if it were everyone's.
update schema_contract set oldest_writer = 23;

alter table price_versions
    -- Whose price it is; null of what everyone pays. Without a key to the account, which may be on another machine.
    add column account_id uuid,
    -- From when on the account pays what everyone pays. It may be set, and moved, as long as it lies ahead.
    add column ends_at timestamptz,
    add constraint price_versions_of_accounts_are_sales check (account_id is null or kind = 'sale'),
    add constraint price_versions_end_after_they_begin check (ends_at > effective_from),
    add constraint price_versions_of_everyone_are_followed check (account_id is not null or ends_at is null);
drop index price_versions_are_unique;
create unique index price_versions_are_unique on price_versions (model_id, kind, effective_from) where withdrawn_at is null and account_id is null;
create unique index price_versions_of_accounts_are_unique on price_versions (account_id, model_id, effective_from)
    where withdrawn_at is null and account_id is not null;

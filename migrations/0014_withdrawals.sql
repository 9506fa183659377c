-- A scheduled price may be withdrawn before it takes effect. Its row stays, with who did it and when; another may begin at the same instant.

-- An older version would go on to charge by what was withdrawn.
update schema_contract set oldest_writer = 14;

alter table price_versions
    add column withdrawn_at timestamptz,
    add column withdrawn_by text,
    add constraint price_versions_withdrawals_are_whole check ((withdrawn_at is null) = (withdrawn_by is null)),
    -- No call was ever charged by it.
    add constraint price_versions_are_withdrawn_ahead check (withdrawn_at < effective_from),
    drop constraint price_versions_are_unique;
create unique index price_versions_are_unique on price_versions (model_id, kind, effective_from) where withdrawn_at is null;

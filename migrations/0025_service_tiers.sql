-- Providers serve the same model at several tiers, each at another price. A version of a price is for one of them, and a call names the one that served it,
-- and the one that was asked for if that is another.

-- An older version would charge every call by whichever of them began last.
update schema_contract set oldest_writer = 25;

alter table price_versions
    -- domain::service_tier::ServiceTier, by name.
    add column service_tier text not null default 'default' constraint price_versions_service_tier_is_known check (
        service_tier in ('default', 'flex', 'priority', 'scale', 'batch')
    ),
    add constraint price_versions_of_accounts_are_of_the_default check (account_id is null or service_tier = 'default');
drop index price_versions_are_unique;
create unique index price_versions_are_unique on price_versions (model_id, kind, service_tier, effective_from)
    where withdrawn_at is null and account_id is null;

alter table calls
    -- Null of the default.
    add column service_tier text,
    -- Null of the one that served it.
    add column asked_tier   text;
-- The one that is asked for; null of the default.
alter table intents add column service_tier text;

-- A past call can be charged anew by another version of its model's price: what it cost more than that goes back. The calls of an account that are charged
-- anew together are one posting.

-- An older version could read neither.
update schema_contract set oldest_writer = 15;

alter table corrections
    -- Of a call that was charged anew: the version.
    add column price_id uuid references price_versions,
    drop constraint corrections_kind_is_known,
    add constraint corrections_kind_is_known check (kind in ('late_usage', 'credit', 'reprice')),
    add constraint corrections_reprice_has_its_price check ((kind = 'reprice') = (price_id is not null)),
    add constraint corrections_reprice_gives_back check (kind <> 'reprice' or (amount < 0 and tokens_paid is null and written_off = 0));

alter table journal
    drop constraint journal_kind_is_known,
    drop constraint journal_usage_counts_its_calls;
alter table journal
    add constraint journal_kind_is_known check (
        kind in (
            'usage', 'top_up', 'adjustment', 'refund', 'promo', 'plan_fee', 'allowance', 'package', 'expiry', 'late_usage', 'call_credit', 'reprice'
        )
    ),
    -- Of usage, and of calls that are charged anew: how many they are.
    add constraint journal_usage_counts_its_calls check ((kind in ('usage', 'reprice')) = (calls is not null));

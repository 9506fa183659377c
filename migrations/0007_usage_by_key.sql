-- The keys page and GET /v1/key ask what one key spent, and when it was last used. In the primary keys of the rollups the key comes after the
-- time, so that each such question read every hour of the account.

create index usage_hourly_by_key on usage_hourly (account_id, key_id, hour);
create index usage_daily_by_key on usage_daily (account_id, key_id, day);

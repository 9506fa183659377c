-- The operators' page of today reads what began today, however much there is besides.

-- In the sums of days the account stands first: a day of all accounts would read every day that there ever was. A day is never changed, so that counting a
-- call into a sum leaves this as it is.
create index usage_daily_by_day on usage_daily (day);

-- Calls are posted about when they begin, and lie together: a summary of a few hundred bytes for each MiB finds a day's in its month. Making it reads the
-- log once.
create index calls_by_start on calls using brin (started_at) with (pages_per_range = 32, autosummarize = on);

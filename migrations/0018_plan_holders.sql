-- Who has a package that still lasts is found without reading every period that was ever paid for.

create index plan_periods_by_plan on plan_periods (plan_id, ends_at);

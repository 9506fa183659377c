-- What is not called for now: a model, or each model of a provider. Calls of the past keep its name, and what a model cost stays.

alter table providers add column disabled_at timestamptz;
alter table models add column disabled_at timestamptz;

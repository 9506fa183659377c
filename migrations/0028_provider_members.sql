-- Members of requests that an operator lets pass at a provider, whatever the model: as models.opened and fallbacks.opened do at one.

alter table providers add column opened text[] not null default '{}';

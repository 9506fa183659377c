-- What an operator opens of requests for a model, and one more thing that can be wrong with an upstream's figures.

alter table models add column opened text[] not null default '{}';

alter table calls
    drop constraint calls_flag_is_known,
    add constraint calls_flag_is_known check (flag in ('contradictory', 'excessive', 'other_terms'));

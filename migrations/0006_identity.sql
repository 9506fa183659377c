-- Which database this is: what a proxy has written to its spool is for this one, and is posted to no other. A copy that takes its place keeps the id.
create table identity (
    only_row    boolean primary key default true constraint identity_is_one_row check (only_row),
    database_id uuid not null default gen_random_uuid()
);
insert into identity default values;

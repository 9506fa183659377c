-- Who may write. A process of an older version may go on posting calls beside a newer schema as long as the schema says so: a migration that an older
-- version's statements would break, or write wrongly beside, raises this to its own number, and every write asks for it.

create table schema_contract (
    only_row      boolean primary key default true constraint schema_contract_is_one_row check (only_row),
    -- The number of the oldest migration whose version may write.
    oldest_writer bigint not null
);
insert into schema_contract (oldest_writer) values (5);

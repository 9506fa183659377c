-- Who changed money, prices or rights: a line beside each change, written in its transaction. The application may add lines, and neither change nor delete
-- any. Without a key to what a line is about: that may be on another machine, or gone.

create table audit (
    at         timestamptz not null,
    audit_id   uuid not null default gen_random_uuid(),
    -- domain::audit::Operation, by name. A name that is gone stays here.
    operation  text not null,
    -- The address of who signed in, as it was then, or `command line`.
    who        text not null,
    -- Null of the command line.
    user_id    uuid,
    -- Where the console was reached from; null of the command line.
    address    inet,
    -- Whose account it is about, if it is about one.
    account_id uuid,
    -- What it is about: its id, and its name as it was then.
    object_id  text not null,
    object     text not null,
    -- Of what changed, how it was and how it is; null of what was not there, or is gone. Never a secret.
    before     jsonb,
    after      jsonb,
    primary key (at, audit_id)
);
create index audit_by_account on audit (account_id, at, audit_id) where account_id is not null;
create index audit_by_operation on audit (operation, at, audit_id);

-- What an operator pays out to a customer has a kind of its own.
alter table journal
    drop constraint journal_kind_is_known,
    add constraint journal_kind_is_known check (
        kind in ('usage', 'top_up', 'adjustment', 'refund', 'promo', 'allowance', 'package', 'expiry', 'late_usage', 'call_credit')
    );

-- Paper for money: receipts, invoices and credit notes, each of one posting, numbered without gaps by kind and year.
--
-- They are issued by a job and not where money is posted. Numbers without gaps need one counter for all accounts, which whoever issues holds until the
-- transaction ends: taken while money is posted, it would have every payment of every account wait for every other, and a payment would fail with its
-- paper. The job takes the counter first, so that one issues at a time, and writes documents, counter and how far it has come in one transaction: a crash
-- leaves all or nothing of it, and whatever is posted and not documented yet is found again, in the order of its account's books. An older version posts
-- as before; what it posts is documented too.

-- Who sells, as it was said from time to time. Documents name the version that they were issued by.
create table sellers (
    version   bigint primary key constraint sellers_count_from_one check (version > 0),
    name      text not null constraint sellers_name_is_short check (length(name) between 1 and 200),
    address   text not null constraint sellers_address_is_short check (length(address) between 1 and 400),
    tax_id    text not null constraint sellers_tax_id_is_short check (length(tax_id) <= 60),
    -- What the tax is called, and its rate in basis points.
    tax_label text not null constraint sellers_tax_label_is_short check (length(tax_label) between 1 and 30),
    tax_bps   integer not null constraint sellers_tax_is_a_share check (tax_bps between 0 and 10000),
    -- What stands before the numbers of documents.
    prefix    text not null constraint sellers_prefix_is_short check (prefix ~ '^[A-Z0-9-]{0,12}$'),
    set_at    timestamptz not null,
    set_by    text not null,
    -- The version of an encoding and the SHA-256 of all of the above in it.
    seal      bytea not null
);

-- Who buys, as an owner of the account wants it on documents that are issued from then on. Without a row, the account's name and an owner's address.
create table billing_details (
    account_id uuid primary key references heads,
    name       text not null,
    email      text not null,
    address    text not null,
    tax_id     text not null,
    set_at     timestamptz not null
);

create table documents (
    account_id    uuid not null references heads,
    -- The posting that it is of.
    posting       bigint not null,
    kind          text not null constraint documents_kind_is_known check (kind in ('receipt', 'invoice', 'credit_note')),
    year          integer not null,
    -- Which of its kind and year it is, counting from 1; and its number as it stands on it.
    serial        bigint not null constraint documents_count_from_one check (serial > 0),
    number        text not null,
    -- Of what went back or came again: the posting of what had been paid.
    about         bigint,
    -- Nanos, above zero; of which tax.
    gross         bigint not null constraint documents_gross_is_positive check (gross > 0),
    tax           bigint not null constraint documents_tax_is_contained check (tax between 0 and gross),
    tax_bps       integer not null,
    -- The version of sellers.
    seller        bigint not null,
    buyer_name    text not null,
    buyer_email   text not null,
    buyer_address text not null,
    buyer_tax_id  text not null,
    issued_at     timestamptz not null,
    seal          bytea not null,
    primary key (account_id, posting),
    foreign key (account_id, posting) references journal,
    foreign key (account_id, about) references documents
);
create unique index documents_by_number on documents (account_id, number);

-- Up to which posting of an account every one that needs a document has it.
create table documented (
    account_id uuid primary key references heads,
    posting    bigint not null
);

-- How many documents of each kind a year has, and when the newest one was issued. Whoever issues locks the newest year.
create table document_years (
    year         integer primary key,
    receipts     bigint not null default 0,
    invoices     bigint not null default 0,
    credit_notes bigint not null default 0,
    issued_at    timestamptz not null
);

-- What each call, and each correction of one, adds to figures, and when that was posted: a month's statement is what was posted in it.
create view dated_figures as
    select
        account_id, started_at, posted_at, false as is_correction, key_id, model, 1::bigint as requests,
        coalesce(prompt_tokens, 0) as prompt_tokens, coalesce(completion_tokens, 0) as completion_tokens,
        coalesce(total_tokens, 0) as total_tokens, amount, written_off
    from calls
    union all
    select
        c.account_id, c.started_at, x.posted_at, true, c.key_id, c.model, 0,
        x.prompt_tokens, x.completion_tokens, x.total_tokens, x.amount, x.written_off
    from corrections x
    join calls c using (account_id, started_at, call_id);

-- Few calls are posted in another month than they began in, and they lie together, as they were posted: a summary of a few hundred bytes for each MiB
-- finds them. Making it reads the log once.
create index calls_by_posting on calls using brin (posted_at) with (pages_per_range = 32, autosummarize = on);

-- Whether the answers to a key's calls tell what they cost, for clients that cannot send the header that asks for it. A proxy of an older version tells it to
-- whoever sends the header alone.

alter table api_keys
    add column tells_cost boolean not null default false;

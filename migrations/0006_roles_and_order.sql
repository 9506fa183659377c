-- The owner of the schema must be able to become farebox_app. From PostgreSQL 16 on, whoever creates a role is its member without the right to
-- become it, so being a member (0001) is not enough; where the grant is not ours to make, an administrator has made it. Roles belong to the whole
-- cluster, so another database may be doing this right now.
do $$
begin
    if current_setting('server_version_num')::integer >= 160000 then
        if not pg_has_role(current_user, 'farebox_app', 'set') then
            grant farebox_app to current_user;
        end if;
    end if;
exception
    when insufficient_privilege or unique_violation then null;
end
$$;

-- Which grant pays first is decided by what expires first; until there is a second kind of order, another number would say nothing true.
alter table grants add constraint grants_priority_is_zero check (priority = 0);

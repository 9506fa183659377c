-- The owner of the schema must be able to become farebox_app. From PostgreSQL 16 on, whoever creates a role is its member without the right to
-- become it, so being a member (0001) is not enough; where the grant is not ours to make, a superuser or an administrator has made it.
do $$
begin
    grant farebox_app to current_user;
exception
    when insufficient_privilege then null;
end
$$;

-- Which grant pays first is decided by what expires first; until there is a second kind of order, another number would say nothing true.
alter table grants add constraint grants_priority_is_zero check (priority = 0);

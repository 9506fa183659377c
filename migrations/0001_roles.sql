-- The application works as farebox_app, a role without a login: whatever a bug asks for, it may not rewrite history.
-- What each later migration grants it is said there. Roles belong to the whole cluster, so another database may be creating it right now.
do $$
begin
    if not exists (select from pg_roles where rolname = 'farebox_app') then
        create role farebox_app nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;

do $$
begin
    if not pg_has_role(current_user, 'farebox_app', 'member') then
        grant farebox_app to current_user;
    end if;
end
$$;

grant usage on schema public to farebox_app;

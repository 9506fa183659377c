-- Spreads tables over 16 partitions by the account, as Citus spreads them over shards. Of the tables it knows nothing but what the catalog says, so that a
-- new column, index or table needs no change here. They must be empty.

-- The partitions of a table, or of a month of it.
create function hash_partitions(of_table text) returns void
    language plpgsql set search_path = public
as $$
begin
    for shard in 0..15 loop
        execute format(
            'create table %I partition of %I for values with (modulus 16, remainder %s)', of_table || to_char(shard, '"_s"FM00'), of_table, shard
        );
    end loop;
end
$$;

-- The migrations' function of this name, but for a month that is spread itself.
create or replace function make_calls_partition(month date) returns void
    language plpgsql security definer set search_path = public
as $$
declare
    first date := date_trunc('month', month);
    part text := 'calls_' || to_char(first, 'YYYY_MM');
    starts timestamptz := first::timestamp at time zone 'UTC';
    ends timestamptz := (first + interval '1 month')::timestamp at time zone 'UTC';
    given record;
begin
    perform pg_advisory_xact_lock(hashtext('make_calls_partition'));
    if to_regclass(part) is null then
        execute format('create table %I (like calls including defaults including constraints) partition by hash (account_id)', part);
        perform hash_partitions(part);
        execute format('alter table calls attach partition %I for values from (%L) to (%L)', part, starts, ends);
    end if;
    for given in
        select distinct c.relname, r.rolname
        from pg_partition_tree(part::regclass) t
        join pg_class c on c.oid = t.relid
        cross join aclexplode(c.relacl) a
        join pg_roles r on r.oid = a.grantee
        where a.grantee <> c.relowner
    loop
        execute format('revoke all on %I from %I', given.relname, given.rolname);
    end loop;
end
$$;

-- A table that is partitioned already stays so: its partitions are made anew.
create function spread_months() returns void
    language plpgsql set search_path = public
as $$
declare
    part text;
begin
    for part in select inhrelid::regclass::text from pg_inherits where inhparent = 'calls'::regclass loop
        execute format('drop table %I', part);
        perform make_calls_partition(to_date(right(part, 7), 'YYYY_MM'));
    end loop;
end
$$;

-- Keys, unique constraints and indexes keep their names: errors are told apart by those.
create function spread_table(name text) returns void
    language plpgsql set search_path = public
as $$
declare
    twin text := name || '_twin';
    statement text;
    statements text[] := array(
        select format('alter table %I add constraint %I %s', name, c.conname, pg_get_constraintdef(c.oid))
        from pg_constraint c where c.conrelid = name::regclass and c.contype in ('p', 'u')
        union all
        select pg_get_indexdef(i.indexrelid)
        from pg_index i
        where i.indrelid = name::regclass and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
    );
begin
    execute format('create table %I (like %I including all excluding indexes) partition by hash (account_id)', twin, name);
    execute format('drop table %I', name);
    execute format('alter table %I rename to %I', twin, name);
    perform hash_partitions(name);
    foreach statement in array statements loop
        execute statement;
    end loop;
    -- A shard's indexes bear the names of the table's, and a number behind them: so does Citus call them.
    for statement in
        select format('alter index %I rename to %I', shard.relname, index.relname || '_' || right(part.relname, 2))
        from pg_index i
        join pg_class index on index.oid = i.indexrelid
        join pg_inherits h on h.inhparent = i.indexrelid
        join pg_class shard on shard.oid = h.inhrelid
        join pg_class part on part.oid = (select indrelid from pg_index where indexrelid = shard.oid)
        where i.indrelid = name::regclass
    loop
        execute statement;
    end loop;
end
$$;

-- What refers to the tables is taken away first, and made again from what the catalog said of it.
create function spread(tables text[]) returns void
    language plpgsql set search_path = public
as $$
declare
    statement text;
    views text[] := array(
        select format('create view %I as %s', viewname, pg_get_viewdef(viewname::regclass)) from pg_views where schemaname = 'public'
    );
    foreign_keys text[] := array(
        select format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        from pg_constraint where contype = 'f' and conparentid = 0 and conrelid::regclass::text = any (tables)
    );
    dropping text[] := array(select format('drop view %I', viewname) from pg_views where schemaname = 'public')
        || array(
            select format('alter table %s drop constraint %I', conrelid::regclass, conname)
            from pg_constraint where contype = 'f' and conparentid = 0 and conrelid::regclass::text = any (tables)
        );
    name text;
begin
    foreach statement in array dropping loop
        execute statement;
    end loop;
    foreach name in array tables loop
        if (select relkind from pg_class where oid = name::regclass) = 'p' then
            perform spread_months();
        else
            perform spread_table(name);
        end if;
    end loop;
    foreach statement in array foreign_keys || views loop
        execute statement;
    end loop;
end
$$;

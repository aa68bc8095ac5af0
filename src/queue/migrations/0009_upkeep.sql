-- What one fleet leaves to the next, and when to vacuum.

-- The low-water marks of a queue's last fleet, by lane: see saved_marks.
create table pgforeman.mark (
  queue   text collate "C" primary key,
  numbers bigint[] not null
);

-- Returns the low-water marks that a queue's last fleet has saved at its end; null if there are none.
-- The next fleet begins with them: else it would first walk what the last one has handled, which costs
-- 0.1 s for 200,000 messages under a held snapshot, in every process. It looks at all below them once.
create function pgforeman.saved_marks(queue text)
returns bigint[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
return (select m.numbers from pgforeman.mark m where m.queue = saved_marks.queue);

create function pgforeman.save_marks(queue text, numbers bigint[])
returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
begin atomic
  insert into pgforeman.mark (queue, numbers) values (save_marks.queue, save_marks.numbers)
  on conflict on constraint mark_pkey do update set numbers = excluded.numbers;
end;

-- Returns in how many milliseconds to VACUUM the queue's table, so that autovacuum or a fleet does
-- so every `every_ms`; 0: now; null: never, as this role may not. Autovacuum runs once a minute:
-- alone it lets a busy table grow many times. (Ignores a future time: a clock was set back.)
create function pgforeman.vacuum_due_ms(every_ms bigint)
returns bigint
language sql volatile
return (
  select case when (select pg_has_role(d.datdba, 'USAGE') from pg_database d
                    where d.datname = current_database())
                or case when current_setting('server_version_num')::int >= 170000
                        then has_table_privilege(c.oid, 'MAINTAIN')
                        else pg_has_role(c.relowner, 'USAGE') end
              then coalesce(greatest(0, every_ms - floor(1000 * extract(epoch from clock_timestamp()
                     - (select max(t) from unnest(array[pg_stat_get_last_vacuum_time(c.oid),
                                                        pg_stat_get_last_autovacuum_time(c.oid)]) t
                        where t <= clock_timestamp())))), 0) end
  from pg_class c where c.oid = 'pgforeman.message'::regclass);

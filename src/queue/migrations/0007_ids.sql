-- Functions that keep message ids from being reused: the sequence goes forward after a restore, a
-- switch to a replica or a promotion. Maintenance checks this with each count.

-- Returns the highest id that the sequence has given out. Has its owner's rights, as not every role
-- that works with the queue may read a sequence.
create function pgforeman.highest_id()
returns bigint
language sql volatile security definer
set search_path = pg_catalog, pg_temp
return (select last_value - (not is_called)::int from pgforeman.message_id_seq);

-- Identifies table, server and timeline: one of them changes with a restored dump, a copy on a new
-- server, a restored base backup, or a standby that took over. (Some platforms let no role read the
-- latter two.) Has its owner's rights, so that every role gets the same answer.
create function pgforeman.current_home()
returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  server   text;
  timeline text;
begin
  if has_function_privilege('pg_control_system()', 'execute') then
    server := (select s.system_identifier from pg_control_system() s);
  end if;
  -- pg_control_checkpoint() has the new timeline only after a checkpoint, minutes after a
  -- promotion.
  begin
    timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  exception when others then
    timeline := null;
  end;
  return concat_ws(' ', 'pgforeman.message'::regclass::oid, server, timeline);
end
$$;

insert into pgforeman.home (identity) values (pgforeman.current_home());

-- True if another place than this one gave out the last ids. The sequence may then be older than
-- ids that were given out to messages that are gone.
create function pgforeman.has_moved()
returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
return not pg_is_in_recovery()
       and exists (select from pgforeman.home h where h.identity <> pgforeman.current_home());

-- True if the sequence will give out ids that messages or dead letters have, or numbers of places in
-- `queue`, as after a restore without the sequence, or if has_moved(). Reads only above the sequence,
-- where none should be, so its cost does not grow with the queue. Messages sent meanwhile do not
-- count: the snapshot is older than the sequence's value. Ids from 2^55 on do not count, as the sequence must not be moved
-- to its end. tick and advance_ids call it, so their SETs apply.
create function pgforeman.ids_are_behind(queue text default null)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select exists (select from pgforeman.message m
                         where m.id > h.id and m.id < 36028797018963968)
              or exists (select from pgforeman.dead_message d
                         where d.id > h.id and d.id < 36028797018963968)
              or exists (select from generate_series(0, 7) l (lane)
                         cross join lateral (
                           select from pgforeman.message m
                           where m.queue = ids_are_behind.queue and m.state = 0
                             and m.place > (l.lane::bigint << 56) + h.id
                             and m.place < (l.lane::bigint << 56) + 36028797018963968
                           order by m.queue, m.place limit 1) w)
              or pgforeman.has_moved()
          from pgforeman.highest_id() h (id));
end
$$;

-- Sets the sequence of ids forward if it is behind. Returns the old and the new last id, and
-- whether the database has moved; no row if there is no need, or another session does it. Never
-- sets it back: goes a million ids further than needed, more than senders get between check and
-- step. If the database has moved: a hundred billion, the ids of two months at 20,000 messages a
-- second. (A double holds enough ids for 90,000 such steps.) Has its owner's rights, as it writes
-- the sequence.
create function pgforeman.advance_ids(queue text default null)
returns table (was bigint, now_at bigint, moved boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- other duties must not wait for a table's lock
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  step constant bigint := 1000000;
begin
  if not pgforeman.ids_are_behind(advance_ids.queue) then return; end if;
  -- Locks a row, as any role can hold an advisory lock.
  perform from pgforeman.schema_version v where v.version = 1 for update skip locked;
  if not found or not pgforeman.ids_are_behind(advance_ids.queue) then return; end if;
  was := pgforeman.highest_id();
  moved := pgforeman.has_moved();
  if moved then
    delete from pgforeman.home;
    insert into pgforeman.home (identity) values (pgforeman.current_home());
  end if;
  now_at := greatest(case when moved then was + 100000 * step end, step + greatest(
    (select m.id from pgforeman.message m where m.id < 36028797018963968
     order by m.id desc limit 1),
    (select d.id from pgforeman.dead_message d where d.id < 36028797018963968
     order by d.id desc limit 1),
    (select max(w.place & 72057594037927935) from generate_series(0, 7) l (lane)
     cross join lateral (
       select m.place from pgforeman.message m
       where m.queue = advance_ids.queue and m.state = 0
         and m.place > l.lane::bigint << 56
         and m.place < (l.lane::bigint << 56) + 36028797018963968
       order by m.queue desc, m.place desc limit 1) w)));
  perform setval('pgforeman.message_id_seq', now_at);
  return next;
end
$$;

-- For those who look after dead letters.

-- Whether a call is about this dead letter: of one queue or of all; of some ids, of a reason, with a
-- text in its error, or any (null). Without a SET of its own, so that it becomes a part of the
-- caller's plan.
create function pgforeman.dead_is_meant(
  d pgforeman.dead_message, queue text, ids bigint[], reason text, error_part text)
returns boolean
language sql stable
return (dead_is_meant.queue is null or d.queue = dead_is_meant.queue)
   and (dead_is_meant.ids is null or d.id = any (dead_is_meant.ids))
   and (dead_is_meant.reason is null or d.reason = dead_is_meant.reason)
   and (dead_is_meant.error_part is null or strpos(d.error, dead_is_meant.error_part) > 0);

-- Dead letters, newest first; see dead_is_meant.
create function pgforeman.dead_list(
  queue text default null, ids bigint[] default null, reason text default null,
  error_part text default null, max_rows int default 50)
returns setof pgforeman.dead_message
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select d.* from pgforeman.dead_message d
    where pgforeman.dead_is_meant(
      d, dead_list.queue, dead_list.ids, dead_list.reason, dead_list.error_part)
    order by d.died_at desc, d.id desc
    limit dead_list.max_rows;
end
$$;

-- The ids of the dead letters that a call is about, oldest first; see dead_is_meant. Only those that
-- died before `died_before`, so that a loop over all does not meet those that die again meanwhile.
create function pgforeman.dead_select(
  queue text, ids bigint[], reason text, error_part text, died_before timestamptz, max_rows int)
returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select d.id from pgforeman.dead_message d
    where pgforeman.dead_is_meant(
      d, dead_select.queue, dead_select.ids, dead_select.reason, dead_select.error_part)
      and d.died_at < dead_select.died_before
    order by d.died_at, d.id
    limit dead_select.max_rows
    for update skip locked;
end
$$;

-- Back into the queue as new ones, but for id, fence and history; see dead_select. Into the
-- redelivered lane: claims have long passed their ids in the fresh one.
create function pgforeman.dead_retry(
  queue text default null, ids bigint[] default null, reason text default null,
  error_part text default null, died_before timestamptz default 'infinity',
  max_rows int default 1000)
returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  message record;
  queues  text[] := '{}';
begin
  for message in
    with gone as (
      delete from pgforeman.dead_message d
      where d.id = any (array(
        select pgforeman.dead_select(
          dead_retry.queue, dead_retry.ids, dead_retry.reason, dead_retry.error_part,
          dead_retry.died_before, dead_retry.max_rows)))
      returning d.*)
    insert into pgforeman.message
      (id, claims, claims_base, enqueued_at, due_at, lane, queue, payload, headers, last_error,
       history)
    select g.id, g.claims, g.claims, g.enqueued_at, clock_timestamp(), g.lane / 2 * 2, g.queue,
           g.payload, g.headers, g.error, g.history
    from gone g
    order by g.died_at, g.id
    returning id, queue
  loop
    if message.queue <> all (queues) then queues := queues || message.queue; end if;
    return next message.id;
  end loop;
  perform pgforeman.announce(q.queue, 'now') from unnest(queues) q (queue);
end
$$;

-- Deletes dead letters for good; see dead_select.
create function pgforeman.dead_purge(
  queue text default null, ids bigint[] default null, reason text default null,
  error_part text default null, died_before timestamptz default 'infinity',
  max_rows int default 1000)
returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    delete from pgforeman.dead_message d
    where d.id = any (array(
      select pgforeman.dead_select(
        dead_purge.queue, dead_purge.ids, dead_purge.reason, dead_purge.error_part,
        dead_purge.died_before, dead_purge.max_rows)))
    returning d.id;
end
$$;

create function pgforeman.dead_count(
  queue text default null, reason text default null, error_part text default null)
returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return (select count(*) from pgforeman.dead_message d
          where pgforeman.dead_is_meant(
            d, dead_count.queue, null, dead_count.reason, dead_count.error_part));
end
$$;

-- Functions for operators: list, retry and purge dead letters.

-- True if a call selects this dead letter: by queue, ids, reason and a part of its error; null
-- selects all. Has no SET, so that it becomes a part of the caller's plan.
create function pgforeman.dead_is_meant(
  d pgforeman.dead_message, queue text, ids bigint[], reason text, error_part text)
returns boolean
language sql stable
return (dead_is_meant.queue is null or d.queue = dead_is_meant.queue)
   and (dead_is_meant.ids is null or d.id = any (dead_is_meant.ids))
   and (dead_is_meant.reason is null or d.reason = dead_is_meant.reason)
   and (dead_is_meant.error_part is null or strpos(d.error, dead_is_meant.error_part) > 0);

-- Returns dead letters, newest first; see dead_is_meant. Unpacks only columns that are read.
create function pgforeman.dead_list(
  queue text default null, ids bigint[] default null, reason text default null,
  error_part text default null, max_rows int default 50)
returns setof pgforeman.dead_message
language sql stable
begin atomic
  select d.* from pgforeman.dead_message d
  where pgforeman.dead_is_meant(
    d, dead_list.queue, dead_list.ids, dead_list.reason, dead_list.error_part)
  order by d.died_at desc, d.id desc
  limit dead_list.max_rows;
end;

-- Locks the dead letters that a call selects, and returns their ctids (two may have one id), oldest
-- first. `died_before` ends a loop over all, even if some messages die again meanwhile.
create function pgforeman.dead_select(
  queue text, ids bigint[], reason text, error_part text, died_before timestamptz, max_rows int)
returns setof tid
language sql volatile
begin atomic
  select d.ctid from pgforeman.dead_message d
  where pgforeman.dead_is_meant(
    d, dead_select.queue, dead_select.ids, dead_select.reason, dead_select.error_part)
    and d.died_at < dead_select.died_before
  order by d.died_at, d.id
  limit dead_select.max_rows
  for update skip locked;
end;

-- Puts dead letters back into the queue as new messages with their id, fence and history; see
-- dead_select. A letter gets a new id if another message has its id by now (after a restore, say).
-- Returns old and new ids.
create function pgforeman.dead_retry(
  queue text default null, ids bigint[] default null, reason text default null,
  error_part text default null, died_before timestamptz default 'infinity',
  max_rows int default 1000)
returns table (id bigint, new_id bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  letter pgforeman.dead_message;
  queues text[] := '{}';
begin
  -- Sets the ids forward first, so that new ids are not in use either.
  perform pgforeman.advance_ids();
  for letter in
    delete from pgforeman.dead_message d
    where d.ctid = any (array(
      select pgforeman.dead_select(
        dead_retry.queue, dead_retry.ids, dead_retry.reason, dead_retry.error_part,
        dead_retry.died_before, dead_retry.max_rows)))
    returning d.*
  loop
    id := letter.id;
    insert into pgforeman.message as m
      (id, claims, claims_base, enqueued_at, due_at, place, queue, payload, headers, last_error,
       history)
    values
      (letter.id, letter.claims, letter.claims, letter.enqueued_at, clock_timestamp(),
       pgforeman.next_place(letter.priority::bigint << 57), letter.queue, letter.payload,
       letter.headers, letter.error, letter.history)
    on conflict do nothing
    returning m.id into new_id;
    if new_id is null then
      insert into pgforeman.message as m
        (claims, claims_base, enqueued_at, due_at, place, queue, payload, headers, last_error,
         history)
      values
        (letter.claims, letter.claims, letter.enqueued_at, clock_timestamp(),
         pgforeman.next_place(letter.priority::bigint << 57), letter.queue, letter.payload,
         letter.headers, letter.error, letter.history)
      returning m.id into new_id;
    end if;
    if letter.queue <> all (queues) then queues := queues || letter.queue; end if;
    return next;
  end loop;
  perform pgforeman.announce(q.queue, 'now') from unnest(queues) q (queue);
end
$$;

-- Deletes dead letters for good and returns their ids; see dead_select.
create function pgforeman.dead_purge(
  queue text default null, ids bigint[] default null, reason text default null,
  error_part text default null, died_before timestamptz default 'infinity',
  max_rows int default 1000)
returns setof bigint
language sql volatile
begin atomic
  delete from pgforeman.dead_message d
  where d.ctid = any (array(
    select pgforeman.dead_select(
      dead_purge.queue, dead_purge.ids, dead_purge.reason, dead_purge.error_part,
      dead_purge.died_before, dead_purge.max_rows)))
  returning d.id;
end;

create function pgforeman.dead_count(
  queue text default null, reason text default null, error_part text default null)
returns bigint
language sql stable
return (select count(*) from pgforeman.dead_message d
        where pgforeman.dead_is_meant(
          d, dead_count.queue, null, dead_count.reason, dead_count.error_part));

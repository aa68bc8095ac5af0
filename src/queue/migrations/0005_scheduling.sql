-- Functions for maintenance: promote, count, sweep, release the messages of a lost claim.

-- Counts the messages in each state. Every count is bounded; `capped`: one has reached its bound.
-- `passed`: of each priority, the id up to which fresh messages are not counted; sweep counts them.
create function pgforeman.counts(queue text, passed bigint[] default '{}')
returns table (
  ready bigint, scheduled bigint, running bigint, dead bigint, oldest_seconds double precision,
  capped boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  most   constant int := 10000;
  moment timestamptz := clock_timestamp();
  oldest timestamptz;
begin
  -- Scans once, bounded, in claim order: leased messages are at the head, where claims took them.
  select count(*) filter (where w.visible_at <= moment),
         count(*) filter (where w.visible_at > moment)
  into ready, running
  from (select v.visible_at
        from generate_series(0, 7) l (lane)
        cross join lateral (
          select m.visible_at from pgforeman.message m
          where m.queue = counts.queue and m.state = 0
            and (m.lane, m.id) > (l.lane, pgforeman.mark_of(l.lane, counts.passed))
            and m.lane <= l.lane
          order by m.queue, m.lane, m.id limit most + 1) v
        limit most + 1) w;
  select count(*) into scheduled
  from (select from pgforeman.message m
        where m.queue = counts.queue and m.state = 1
        order by m.queue, m.due_at limit most + 1) w;
  select count(*) into dead
  from (select from pgforeman.dead_message d where d.queue = counts.queue
        order by d.queue, d.died_at limit most + 1) w;
  capped := ready + running > most or scheduled > most or dead > most;

  -- The first claimable row of each lane is its oldest, except for the few redelivered ones.
  select min(greatest(w.enqueued_at, w.due_at)) into oldest
  from generate_series(0, 7) l (lane)
  cross join lateral (
    select m.enqueued_at, m.due_at from pgforeman.message m
    where m.queue = counts.queue and m.state = 0 and m.visible_at <= moment
      and (m.lane, m.id) > (l.lane, pgforeman.mark_of(l.lane, counts.passed))
      and m.lane <= l.lane
    order by m.queue, m.lane, m.id limit 1) w;
  -- Bounds the age: a row that was written by hand may have an infinite time.
  oldest_seconds := case when oldest is null then 0 else greatest(
    0, extract(epoch from moment - greatest(oldest, moment - interval '100 years'))) end;
  ready := least(ready, most);
  scheduled := least(scheduled, most);
  running := least(running, most);
  dead := least(dead, most);
  return next;
end
$$;

-- Returns how many of up to `most` messages can be claimed, and when the next one will be due.
-- Changes nothing, so that it may be called often.
create function pgforeman.peek(queue text, marks bigint[] default '{}', most int default 1)
returns table (ready bigint, next_due_ms bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  moment timestamptz := clock_timestamp();
begin
  select count(*) into ready
  from (select from (values (0), (1), (2), (3), (4), (5), (6), (7)) l (lane)
        cross join lateral (
          select from pgforeman.message m
          where m.queue = peek.queue and m.state = 0 and m.visible_at <= moment
            and (m.lane, m.id) > (l.lane, pgforeman.mark_of(l.lane, peek.marks))
            and m.lane <= l.lane
          order by m.queue, m.lane, m.id limit peek.most) v
        limit peek.most) w;
  select greatest(0, ceil(1000 * extract(
           epoch from least(s.due_at, moment + interval '100 years') - moment)))::bigint
  into next_due_ms
  from pgforeman.message s
  where s.queue = peek.queue and s.state = 1
  order by s.queue, s.due_at
  limit 1;
  return next;
end
$$;

-- Makes due messages claimable, returns when the next will be due, and counts if asked to (else the
-- counts are null). Due messages go into the redelivered lane, as claims have passed their ids.
create function pgforeman.tick(
  queue text, with_counts boolean default true, max_promoted int default 10000,
  passed bigint[] default '{}')
returns table (
  promoted bigint, next_due_ms bigint, ready bigint, scheduled bigint, running bigint, dead bigint,
  oldest_seconds double precision, capped boolean, behind boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  moment timestamptz := clock_timestamp();
begin
  update pgforeman.message m
  set state = 0, lane = m.lane / 2 * 2
  where m.ctid = any (array(
    select s.ctid
    from pgforeman.message s
    where s.queue = tick.queue and s.state = 1 and s.due_at <= moment
    order by s.queue, s.due_at
    limit tick.max_promoted
    for update skip locked));
  get diagnostics promoted = row_count;
  -- Other fleets do not know of these rows. (A fleet that is the only listener notifies none.)
  if promoted > 0 then perform pgforeman.announce(tick.queue, 'now'); end if;

  next_due_ms := (select l.next_due_ms from pgforeman.peek(tick.queue, most => 0) l);
  if tick.with_counts then
    select c.ready, c.scheduled, c.running, c.dead, c.oldest_seconds, c.capped
    into ready, scheduled, running, dead, oldest_seconds, capped
    from pgforeman.counts(tick.queue, tick.passed) c;
    behind := pgforeman.ids_are_behind();  -- proves: P29 sequence
  end if;
  return next;
end
$$;

-- Scans the fresh lanes below the low-water marks: of each priority the ids above `after` up to
-- `upto`. Moves claimable messages (committed late, lease expired) into the redelivered lane, at
-- most `max_moved` of a priority. Changes nothing else: a holder may still settle its message.
--   moved, claimable  messages moved, and all that were claimable (others: too many, or locked)
--   leased            messages under a lease
--   lowest            of each priority: the lowest id that was found
--   reached           of each priority: how far it scanned (not to `upto` after 10,000 messages)
--   lease_end_ms      until the first of these leases ends
--   xid, oldest_xid   numbers of this transaction, and of the oldest one open when it began. Once
--                     a later sweep's oldest_xid is above xid, all writers of that time have ended
--   highest           the highest id that any message ever had
-- With SETs that make pages cost nothing, the plan uses the index that leaves fewest conditions per
-- row, message_ready, and never the primary key, which has all waiting messages too.
create function pgforeman.sweep(
  queue text, after bigint[], upto bigint[], max_moved int default 1000)
returns table (
  moved bigint, claimable bigint, leased bigint, lowest bigint[], reached bigint[],
  lease_end_ms bigint, xid bigint, oldest_xid bigint, highest bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set seq_page_cost = 0
set random_page_cost = 0
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  most      constant int := 10000;
  moment    timestamptz;
  fresh     int;
  seen      bigint;
  held      bigint;
  lowest_id bigint;
  last_id   bigint;
  first_end timestamptz;
  ends      timestamptz;
  picked    tid[];
  went      bigint;
begin
  -- The snapshots of the scans below are newer than this one.
  oldest_xid := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  xid := pg_current_xact_id()::text::bigint;
  highest := pgforeman.highest_id();
  moment := clock_timestamp();
  moved := 0;
  claimable := 0;
  leased := 0;
  lowest := array_fill(null::bigint, array[4]);
  reached := sweep.upto;
  for priority in 1..4 loop
    continue when sweep.after[priority] >= sweep.upto[priority];
    fresh := 2 * priority - 1;
    -- Compares columns, as a row condition, (lane, id) <= (...), ends no scan of an index.
    select count(*), count(*) filter (where w.visible_at > moment), min(w.id), max(w.id),
           min(w.visible_at) filter (where w.visible_at > moment),
           array_agg(w.ctid) filter (where w.visible_at <= moment)
    into seen, held, lowest_id, last_id, ends, picked
    from (select r.ctid, r.id, r.visible_at
          from pgforeman.message r
          where r.queue = sweep.queue and r.state = 0 and r.lane = fresh
            and r.id > sweep.after[priority] and r.id <= sweep.upto[priority]
          order by r.queue, r.lane, r.id limit most) w;
    leased := leased + held;
    lowest[priority] := lowest_id;
    if seen >= most then reached[priority] := last_id; end if;
    first_end := least(first_end, ends);
    continue when picked is null;
    claimable := claimable + cardinality(picked);
    -- Finds rows by ctid alone, which scans no index again. Another transaction may change these
    -- row versions, but during this call no other row can take their place.
    update pgforeman.message m
    set lane = m.lane / 2 * 2 -- proves: P27
    where m.ctid = any (array(
      select r.ctid from pgforeman.message r
      where r.ctid = any (picked) and r.visible_at <= moment
      limit sweep.max_moved
      for update skip locked));
    get diagnostics went = row_count;
    moved := moved + went;
  end loop;
  if moved > 0 then perform pgforeman.announce(sweep.queue, 'now'); end if;
  if first_end is not null then
    lease_end_ms := ceil(1000 * extract(
      epoch from least(first_end, moment + interval '100 years') - moment))::bigint;
  end if;
  return next;
end
$$;

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

-- Releases the messages held under a token, for a claim with a lost answer. No index has tokens:
-- scans the first 20,000 of each lane above the claim's `marks`; others wait for the end of their
-- lease. With `error` a message may have killed the claimer. From the second claim without a
-- run on it waits for a second; after more than ten it counts a crash.
create function pgforeman.release_token(
  queue text, token bigint, error text default null, evidence jsonb default null,
  max_crashes int default null, backoff interval default null, backoff_max interval default null,
  marks bigint[] default '{}')
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set lock_timeout = '200ms'  -- see end_done
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  most     constant int := 20000;
  held     bigint[];
  waiting  boolean[];
  suspects bigint[];
  released bigint;
begin
  if release_token.token = 0 then return 0; end if;
  select array_agg(w.id), array_agg(release_token.error is not null and w.unfinished_claims > 1),
         array_agg(w.id) filter (where w.unfinished_claims > 10 and release_token.error is not null)
  into held, waiting, suspects
  from generate_series(0, 7) l (lane)
  cross join lateral (
    select m.id, m.token, m.claims - m.claims_base - m.attempt - m.crashes as unfinished_claims
    from pgforeman.message m
    where m.queue = release_token.queue and m.state = 0
      and (m.lane, m.id) > (l.lane, pgforeman.mark_of(l.lane, release_token.marks))
      and m.lane <= l.lane
    order by m.queue, m.lane, m.id limit most) w
  where w.token = release_token.token;
  if held is null then
    if row_security_active('pgforeman.message') then perform pgforeman.refuse_row_security(); end if;
    return 0;
  end if;
  perform pgforeman.settle(
    suspects, array_agg(release_token.token), array_agg('crash'::text),
    array_agg(null::interval), array_agg(release_token.error), array_agg(release_token.evidence),
    0, release_token.max_crashes, release_token.backoff, release_token.backoff_max)
  from unnest(suspects) having count(*) > 0;
  update pgforeman.message m
  set token = 0, visible_at = '-infinity', lane = m.lane / 2 * 2, state = w.waits::int,
      due_at = case when w.waits then clock_timestamp() + interval '1 second' else m.due_at end,
      claims_base = m.claims_base + (release_token.error is null)::int
  from unnest(held, waiting) w (id, waits)
  where m.id = any (held) and m.id = w.id and m.token = release_token.token;
  get diagnostics released = row_count;
  if released > 0 then perform pgforeman.announce(release_token.queue, 'now'); end if;
  return released + coalesce(cardinality(suspects), 0);
end
$$;

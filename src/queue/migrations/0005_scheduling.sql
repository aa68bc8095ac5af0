-- Functions for maintenance: promote, count, sweep.

-- to_us: a time in microseconds since the epoch. from_us: the time of such a number; of 0 or less the
-- first of all.
-- Without a SET they become a part of the caller's plan.
create function pgforeman.to_us(moment timestamptz)
returns bigint
language sql immutable
return (extract(epoch from greatest(to_us.moment, 'epoch')) * 1000000)::bigint;

create function pgforeman.from_us(us bigint)
returns timestamptz
language sql immutable
return case when from_us.us <= 0 then '-infinity'
            else timestamptz 'epoch' + from_us.us * interval '1 microsecond' end;

-- Counts the messages in each state. Every count is bounded; `capped`: one has reached its bound.
-- Counts what has a place in the ranges (above[i], upto[i]] and what is due at `due_from_us` or later;
-- sweep counts the messages below the marks. Give each lane a range of its own: the first claimable
-- message of a range counts as its oldest.
create function pgforeman.counts(
  queue text, above bigint[] default '{0}', upto bigint[] default '{9223372036854775807}',
  due_from_us bigint default 0)
returns table (
  ready bigint, scheduled bigint, running bigint, dead bigint, oldest_seconds double precision,
  capped boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
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
        from unnest(counts.above, counts.upto) l (above, upto)
        cross join lateral (
          select m.visible_at from pgforeman.message m
          where m.queue = counts.queue and m.state = 0 and m.place > l.above and m.place <= l.upto
          order by m.queue, m.place limit most + 1) v
        limit most + 1) w;
  select count(*) into scheduled
  from (select from pgforeman.message m
        where m.queue = counts.queue and m.state = 1 and m.due_at >= pgforeman.from_us(counts.due_from_us)
        order by m.queue, m.due_at limit most + 1) w;
  select count(*) into dead
  from (select from pgforeman.dead_message d where d.queue = counts.queue
        order by d.queue, d.died_at limit most + 1) w;
  capped := ready + running > most or scheduled > most or dead > most;

  -- In the order of claims the first one is the oldest, but for a few that came back.
  if ready > 0 then
    select min(greatest(w.enqueued_at, w.due_at)) into oldest
    from unnest(counts.above, counts.upto) l (above, upto)
    cross join lateral (
      select m.enqueued_at, m.due_at from pgforeman.message m
      where m.queue = counts.queue and m.state = 0 and m.visible_at <= moment
        and m.place > l.above and m.place <= l.upto
      order by m.queue, m.place limit 1) w;
  end if;
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

-- Changes nothing, so that it may be called often. Returns
--   ready        how many messages, at most `most`, can be claimed in these ranges of places
--   next_due_us  when the next scheduled one is due, of those due at `due_from_us` or later and not in
--                `skipped`
--   at_us        the server's time
-- in microseconds since the epoch.
create function pgforeman.peek(
  queue text, above bigint[] default '{0}', upto bigint[] default '{9223372036854775807}',
  most int default 1, due_from_us bigint default 0, skipped bigint[] default '{}')
returns table (ready bigint, next_due_us bigint, at_us bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  moment timestamptz := clock_timestamp();
begin
  at_us := pgforeman.to_us(moment);
  select count(*) into ready
  from (select from unnest(peek.above, peek.upto) l (above, upto)
        cross join lateral (
          select from pgforeman.message m
          where m.queue = peek.queue and m.state = 0 and m.visible_at <= moment
            and m.place > l.above and m.place <= l.upto
          order by m.queue, m.place limit peek.most) v
        limit peek.most) w;
  select pgforeman.to_us(least(s.due_at, moment + interval '100 years')) into next_due_us
  from pgforeman.message s
  where s.queue = peek.queue and s.state = 1
    and s.due_at >= pgforeman.from_us(peek.due_from_us) and s.id <> all (peek.skipped)
  order by s.queue, s.due_at
  limit 1;
  return next;
end
$$;

-- Gives these row versions a new place and makes them ready. If the database refuses that, perhaps
-- because of one of them (a trigger can refuse any row), makes them ready one by one, for a quarter of
-- a second. Returns how many are ready now, which were refused, and the SQLSTATE of each refusal. Finds
-- rows by ctid alone, which scans no index again: the caller has just locked these row versions.
create function pgforeman.make_ready(rows tid[])
returns table (made bigint, refused bigint[], states text[], refusal text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'  -- a row's trigger may wait for locks
as $$
declare
  began timestamptz := clock_timestamp();
  part  tid[] := make_ready.rows;
  before constant bigint := nextval('pgforeman.message_id_seq');
  got   bigint;
begin
  made := 0;
  refused := '{}';
  states := '{}';
  set constraints all immediate;  -- a deferred trigger would refuse all rows, at the commit
  for i in 0..cardinality(make_ready.rows) loop  -- 0: all at once
    if i > 0 then part := make_ready.rows[i:i]; end if;
    exit when i > 0 and clock_timestamp() > began + interval '250 ms';
    begin
      with moved as (
        update pgforeman.message m
        set state = 0, place = pgforeman.next_place(m.place) -- proves: P27
        where m.ctid = any (part)
        returning m.place)
      -- A trigger may change rows back: then they have no new number.
      select count(*) filter (where (v.place & 72057594037927935) > before) into got from moved v;
      if got < cardinality(part) then perform pgforeman.refuse_silence(); end if;
      made := made + got;
      exit when i = 0;
    exception when others or assert_failure or query_canceled then
      -- A cancellation so soon is taken for an error that a row's trigger raised.
      if sqlstate = '57014' and clock_timestamp() > began + interval '500 ms' then raise; end if;
      continue when i = 0;
      refusal := sqlerrm;
      states := states || sqlstate;
      refused := refused || array(select m.id from pgforeman.message m where m.ctid = part[1]);
    end;
  end loop;
  return next;
end
$$;

-- Returns the message that tick would promote first, with these arguments; null if none is due.
create function pgforeman.first_due(queue text, due_from_us bigint, skipped bigint[])
returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
return (select s.id from pgforeman.message s
        where s.queue = first_due.queue and s.state = 1
          and s.due_at >= pgforeman.from_us(first_due.due_from_us) and s.due_at <= clock_timestamp()
          and s.id <> all (first_due.skipped)
        order by s.queue, s.due_at limit 1);

-- Makes due messages claimable: at most `max_promoted` of those that are due at `due_from_us` or later
-- and not in `skipped`. Then peeks. Counts too `with_counts`, else the counts are null (see counts for
-- the ranges). `refused`, `states`, `refusal`: see make_ready.
create function pgforeman.tick(
  queue text, with_counts boolean default true, max_promoted int default 10000,
  above bigint[] default '{0}', upto bigint[] default '{9223372036854775807}',
  due_from_us bigint default 0, skipped bigint[] default '{}')
returns table (
  promoted bigint, refused bigint[], states text[], refusal text, next_due_us bigint, at_us bigint, ready bigint,
  scheduled bigint, running bigint, dead bigint, oldest_seconds double precision, capped boolean,
  behind boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  moment timestamptz := clock_timestamp();
  due    tid[];
begin
  due := array(
    select s.ctid
    from pgforeman.message s
    where s.queue = tick.queue and s.state = 1
      and s.due_at >= pgforeman.from_us(tick.due_from_us) and s.due_at <= moment
      and s.id <> all (tick.skipped)
    order by s.queue, s.due_at
    limit tick.max_promoted
    for update skip locked);
  promoted := 0;
  refused := '{}';
  states := '{}';
  if cardinality(due) > 0 then
    select r.made, r.refused, r.states, r.refusal into promoted, refused, states, refusal
    from pgforeman.make_ready(due) r;
  end if;
  -- Other fleets do not know of these rows. (announce sends nothing if this fleet is the only listener.)
  if promoted > 0 then perform pgforeman.announce(tick.queue, 'now'); end if;

  select p.next_due_us, p.at_us into next_due_us, at_us
  from pgforeman.peek(tick.queue, most => 0, due_from_us => tick.due_from_us,
                      skipped => tick.skipped) p;
  if tick.with_counts then
    select c.ready, c.scheduled, c.running, c.dead, c.oldest_seconds, c.capped
    into ready, scheduled, running, dead, oldest_seconds, capped
    from pgforeman.counts(
      tick.queue, tick.above, tick.upto, coalesce(next_due_us, 9000000000000000)) c;
    behind := pgforeman.ids_are_behind(tick.queue);  -- proves: P29 sequence
  end if;
  return next;
end
$$;

-- Returns what maintenance has to know to look below the marks for late commits. In this order:
--   highest  the last number that was given out for a place
--   at_us    the server's time, in microseconds since the epoch
--   open     the transactions that are open and have a number; this one got its own before that
--   first    of each place in `passed`: the lowest visible place above it in its lane; 0: none
-- A sender gets its transaction's number before it draws a place (see next_place). A snapshot shows no
-- transaction with a number above that of the last one that ended. So a call can miss an open sender;
-- the next call cannot, as this call's own transaction has ended by then. So a transaction that a call
-- is the first to show, or that none showed, has only places above the `highest` of two calls earlier.
create function pgforeman.open_writers(queue text, passed bigint[])
returns table (highest bigint, at_us bigint, open bigint[], first bigint[])
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  xid xid8;
begin
  highest := pgforeman.highest_id();
  at_us := pgforeman.to_us(clock_timestamp());
  xid := pg_current_xact_id();
  open := array(select x::text::bigint from pg_snapshot_xip(pg_current_snapshot()) x);
  first := array(
    select coalesce((
      select m.place from pgforeman.message m
      where m.queue = open_writers.queue and m.state = 0
        and m.place > p.place and m.place < ((p.place >> 56) + 1) << 56
      order by m.queue, m.place limit 1), 0)
    from unnest(open_writers.passed) with ordinality p (place, i) order by p.i);
  return next;
end
$$;

-- Scans the places above above[i] up to upto[i], which claims have passed. Gives what is claimable
-- there (committed late, lease expired) a new place, where claims find it: at most `max_moved`
-- messages, and none in `skipped`. Changes nothing else: a holder may still settle its message. Returns
--   moved    how many got a new place; `refused`, `states`, `refusal`: see make_ready
--   reached  of each range: the place up to which it was scanned (below `upto` after 10,000 rows)
--   bucket, leased, look_ms
--            the buckets (place >> bucket_bits) that still have messages: how many are leased, and
--            when to look again: at the end of the first lease; at once, if one was claimable
create function pgforeman.sweep(
  queue text, above bigint[], upto bigint[], bucket_bits int default 12,
  max_moved int default 1000, skipped bigint[] default '{}')
returns table (
  moved bigint, refused bigint[], states text[], refusal text, reached bigint[], bucket bigint[],
  leased bigint[], look_ms bigint[])
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  most   constant int := 10000;
  moment timestamptz := clock_timestamp();
  picked tid[];
begin
  with found as materialized (
    select l.i, r.place, r.ctid, r.visible_at
    from unnest(sweep.above, sweep.upto) with ordinality l (above, upto, i)
    cross join lateral (
      select m.place, m.ctid,
             case when m.id = any (sweep.skipped) then greatest(m.visible_at, moment + '2 seconds')
                  else m.visible_at end as visible_at
      from pgforeman.message m
      where m.queue = sweep.queue and m.state = 0 and m.place > l.above and m.place <= l.upto
      order by m.queue, m.place limit most) r),
  buckets as (
    select f.place >> sweep.bucket_bits as number,
           count(*) filter (where f.visible_at > moment) as leased,
           min(greatest(f.visible_at, moment)) as look_at
    from found f group by 1)
  select array(select f.ctid from found f where f.visible_at <= moment),
         array(select coalesce(s.last, l.upto)
               from unnest(sweep.upto) with ordinality l (upto, i)
               left join (select f.i, max(f.place) as last from found f
                          group by f.i having count(*) >= most) s on s.i = l.i
               order by l.i),
         array(select b.number from buckets b order by b.number),
         array(select b.leased from buckets b order by b.number),
         array(select ceil(1000 * extract(epoch from
                        least(b.look_at, moment + interval '100 years') - moment))::bigint
               from buckets b order by b.number)
  into picked, reached, bucket, leased, look_ms;
  moved := 0;
  refused := '{}';
  states := '{}';
  if cardinality(picked) > 0 then
    picked := array(
      select r.ctid from pgforeman.message r
      where r.ctid = any (picked) and r.state = 0 and r.visible_at <= moment
      limit sweep.max_moved
      for update skip locked);
  end if;
  if cardinality(picked) > 0 then
    select r.made, r.refused, r.states, r.refusal into moved, refused, states, refusal
    from pgforeman.make_ready(picked) r;
    if moved > 0 then perform pgforeman.announce(sweep.queue, 'now'); end if;
  end if;
  return next;
end
$$;

-- For maintenance: promote and count.

-- How much there is in each state. Every count is bounded; `capped` says that one is "at least".
create function pgforeman.counts(queue text)
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
  -- One bounded pass in claim order: leases are at the head, where claims take them.
  select count(*) filter (where w.visible_at <= moment),
         count(*) filter (where w.visible_at > moment)
  into ready, running
  from (select m.visible_at from pgforeman.message m
        where m.queue = counts.queue and m.state = 0
        order by m.queue, m.lane, m.id limit most + 1) w;
  select count(*) into scheduled
  from (select from pgforeman.message m
        where m.queue = counts.queue and m.state = 1
        order by m.queue, m.due_at limit most + 1) w;
  select count(*) into dead
  from (select from pgforeman.dead_message d where d.queue = counts.queue
        order by d.queue, d.died_at limit most + 1) w;
  capped := ready + running > most or scheduled > most or dead > most;

  -- The first claimable row of each lane: its oldest, but for the few that came back.
  select min(greatest(w.enqueued_at, w.due_at)) into oldest
  from generate_series(0, 7) l (lane)
  cross join lateral (
    select m.enqueued_at, m.due_at from pgforeman.message m
    where m.queue = counts.queue and m.lane = l.lane and m.state = 0 and m.visible_at <= moment
    order by m.queue, m.lane, m.id limit 1) w;
  oldest_seconds := coalesce(greatest(0, extract(epoch from moment - oldest)), 0);
  ready := least(ready, most);
  scheduled := least(scheduled, most);
  running := least(running, most);
  dead := least(dead, most);
  return next;
end
$$;

-- One statement a tick: makes due messages claimable, says when the next will be due, and counts
-- unless told not to (the counts are null then).
create function pgforeman.tick(
  queue text, with_counts boolean default true, max_promoted int default 10000)
returns table (
  promoted bigint, next_due_ms bigint, ready bigint, scheduled bigint, running bigint, dead bigint,
  oldest_seconds double precision, capped boolean)
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
  set state = 0
  where m.ctid = any (array(
    select s.ctid
    from pgforeman.message s
    where s.queue = tick.queue and s.state = 1 and s.due_at <= moment
    order by s.queue, s.due_at
    limit tick.max_promoted
    for update skip locked));
  get diagnostics promoted = row_count;

  select greatest(0, ceil(extract(epoch from s.due_at - moment) * 1000))::bigint into next_due_ms
  from pgforeman.message s
  where s.queue = tick.queue and s.state = 1
  order by s.queue, s.due_at
  limit 1;

  if tick.with_counts then
    select c.ready, c.scheduled, c.running, c.dead, c.oldest_seconds, c.capped
    into ready, scheduled, running, dead, oldest_seconds, capped
    from pgforeman.counts(tick.queue) c;
  end if;
  return next;
end
$$;

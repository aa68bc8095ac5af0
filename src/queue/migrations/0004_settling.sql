-- Functions for consumers: settle, renew, release the messages of a claim in doubt. 0003_claiming.sql says why functions carry SETs.

-- Returns the wait after a failed run (`failures` 1: the first): doubles, is capped, +-20 %.
create function pgforeman.retry_delay(failures int, backoff interval, backoff_max interval)
returns interval
language sql volatile
return make_interval(secs =>
  least(extract(epoch from backoff_max)::double precision,
        -- proves: P23
        extract(epoch from backoff)::double precision * power(2, least(greatest(failures, 1) - 1, 60)))
  * (0.8 + 0.4 * random()));

-- Returns a history with one more run (null: none) and its fence; the oldest of 20 is dropped.
create function pgforeman.with_run(history jsonb, run jsonb, fence bigint)
returns jsonb
language sql immutable
return case when run is null then history
            else case when jsonb_array_length(history) >= 20 then history - 0 else history end
                 || jsonb_build_array(run || jsonb_build_object('fence', fence)) end;

-- Ends leases. Each is named by id and token, so an outdated token changes nothing (lost_lease).
-- The redundant `id = any` keeps the plan on the primary key. The outcomes:
--   done      deletes the row
--   retry     counts an attempt: runs again after its delay, or is dead after the last attempt
--   crash     counts a crash: runs again after its delay, or is dead after the last crash
--   dead      makes it a dead letter at once
--   max_claims_exceeded  the same without a run: it was claimed too often without a result
--   released  counts nothing: claimable at once or after its delay
-- A run's evidence (a JSON object, or null) is added to the message's history. If another
-- transaction has locked a row, the call fails after lock_timeout. With `skip_locked` that row
-- stays unchanged ('locked'); not the default, as it locks each row before the change.
create function pgforeman.settle(
  ids bigint[], tokens bigint[], outcomes text[], delays interval[], errors text[],
  evidence jsonb[], max_attempts int, max_crashes int, backoff interval, backoff_max interval,
  skip_locked boolean default false)
returns table (id bigint, settled text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set lock_timeout = '200ms'  -- see end_done
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  given     int := cardinality(settle.ids);
  all_ids   bigint[] := settle.ids;
  mine      bigint[];
  locked    bigint[] := '{}';
  wanted    bigint[];
  done      bigint[] := '{}';
  retried   bigint[] := '{}';
  dead      bigint[] := '{}';
  released  bigint[] := '{}';  -- without evidence: that claim is not in unfinished_claims
  ready_queue text;  -- of messages that can be claimed at once
  given_up    bigint;
  no_payload  text;  -- why the payload of the one message that is to be buried cannot be read
  no_rest     text;  -- the same of its headers and history
  xid       xid8 := pg_current_xact_id();  -- before the first place or due time: see next_place
begin
  if cardinality(settle.tokens) <> given or cardinality(settle.outcomes) <> given
     or cardinality(settle.delays) <> given or cardinality(settle.errors) <> given
     or cardinality(settle.evidence) <> given then
    raise exception 'ids, tokens, outcomes, delays, errors and evidence must be equally long'
      using errcode = '22023';
  end if;
  if not settle.outcomes <@ array['done', 'retry', 'crash', 'dead', 'max_claims_exceeded', 'released'] then
    raise exception 'an outcome is not valid: done, retry, crash, dead, max_claims_exceeded or released'
      using errcode = '22023';
  end if;

  if settle.skip_locked then
    mine := array(
      select m.id from pgforeman.message m where m.id = any (settle.ids)
      order by m.id  -- one order for all sessions: no deadlocks
      for update skip locked);
    if cardinality(mine) < given then
      locked := array(
        select m.id from unnest(settle.ids, settle.tokens) l (i, t)
        join pgforeman.message m on m.id = l.i and m.token = l.t
        where l.t <> 0 and l.i <> all (mine));
    end if;
    if cardinality(locked) > 0 then
      select array_agg(l.i), array_agg(l.t), array_agg(l.o), array_agg(l.d), array_agg(l.e),
             array_agg(l.v)
      into settle.ids, settle.tokens, settle.outcomes, settle.delays, settle.errors, settle.evidence
      from unnest(settle.ids, settle.tokens, settle.outcomes, settle.delays, settle.errors,
                  settle.evidence) l (i, t, o, d, e, v)
      where l.i <> all (locked);
      given := coalesce(cardinality(settle.ids), 0);
    end if;
  end if;

  if 'done' = any (settle.outcomes) then
    select array_agg(i) into wanted
    from unnest(settle.ids, settle.outcomes) l (i, o) where o = 'done';
    if settle.tokens <@ settle.tokens[1:1] then
      with gone as (  -- one token for all needs no join
        delete from pgforeman.message m
        where m.id = any (wanted) and m.token = settle.tokens[1] and settle.tokens[1] <> 0
        returning m.id)
      select coalesce(array_agg(g.id), '{}') into done from gone g;
    else
      with gone as (
        delete from pgforeman.message m
        using unnest(settle.ids, settle.tokens, settle.outcomes) l (i, t, o)
        where m.id = any (wanted) and m.id = l.i and m.token = l.t
          and l.t <> 0 and l.o = 'done'
        returning m.id)
      select coalesce(array_agg(g.id), '{}') into done from gone g;
    end if;
  end if;
  if cardinality(done) = given and cardinality(locked) = 0 then
    return query select i, 'done' from unnest(all_ids) i;
    return;
  end if;

  if settle.outcomes && array['retry', 'crash'] then
    select array_agg(i) into wanted
    from unnest(settle.ids, settle.outcomes) l (i, o) where o in ('retry', 'crash');
    with again as (
      update pgforeman.message m
      set state = case when l.d <= interval '0' then 0 else 1 end,
          due_at = clock_timestamp() + greatest(interval '0', coalesce(
            l.d, pgforeman.retry_delay(m.attempt + m.crashes + 1, settle.backoff,
                                       settle.backoff_max))),
          place = case when l.d <= interval '0' then pgforeman.next_place(m.place) else m.place end,
          attempt = m.attempt + (l.o = 'retry')::int, crashes = m.crashes + (l.o = 'crash')::int,
          token = 0, visible_at = '-infinity', last_error = l.e,
          history = pgforeman.with_run(m.history, l.v, m.claims)
      from unnest(settle.ids, settle.tokens, settle.outcomes, settle.delays, settle.errors,
                  settle.evidence) l (i, t, o, d, e, v)
      where m.id = any (wanted) and m.id = l.i and m.token = l.t and l.t <> 0
        and (l.o = 'retry' and m.attempt + 1 < settle.max_attempts
             or l.o = 'crash' and m.crashes + 1 < settle.max_crashes) -- proves: P6
      returning m.id, m.queue, m.state)
    select coalesce(array_agg(a.id), '{}'), min(a.queue) filter (where a.state = 0)
    into retried, ready_queue from again a;
  end if;

  -- A 'retry' or 'crash' that was not retried has used up its attempts or crashes. Without such a
  -- message the table of dead letters is not touched: it may be locked.
  wanted := null;
  if settle.outcomes && array['retry', 'crash', 'dead', 'max_claims_exceeded'] then
    select array_agg(i) into wanted
    from unnest(settle.ids, settle.outcomes) l (i, o)
    where o not in ('done', 'released') and i <> all (retried);
  end if;
  if cardinality(wanted) > 0 then
    for try in 1..2 loop  -- as it is; without what cannot be read
      begin
        with gone as (
          delete from pgforeman.message m
          using unnest(settle.ids, settle.tokens, settle.outcomes, settle.errors, settle.evidence)
            l (i, t, o, e, v)
          where m.id = any (wanted) and m.id = l.i and m.token = l.t
            and l.t <> 0 and l.o not in ('done', 'released')
          returning m.*, l.o, l.e, l.v),
        buried as (
          insert into pgforeman.dead_message
            (id, claims, enqueued_at, attempt, crashes, priority, queue, reason, error, payload,
             headers, history)
          select g.id, g.claims, g.enqueued_at, g.attempt + (g.o in ('retry', 'dead'))::int,
                 g.crashes + (g.o = 'crash')::int, g.place >> 57, g.queue,
                 case g.o when 'dead' then 'handler' when 'max_claims_exceeded' then 'max_claims'
                          when 'crash' then 'max_crashes' else 'max_attempts' end,
                 nullif(concat_ws('; ', coalesce(g.e, g.last_error),
                                  'its payload is lost: ' || no_payload,
                                  'its headers and history are lost: ' || no_rest), ''),
                 case when no_payload is null then g.payload else 'null' end,
                 case when no_rest is null then g.headers else '{}' end,
                 pgforeman.with_run(case when no_rest is null then g.history else '[]' end, g.v,
                                    g.claims)
          from gone g
          returning dead_message.id)
        select coalesce(array_agg(b.id), '{}'), (select count(*) from gone) into dead, given_up
        from buried b;
        if cardinality(dead) < given_up then perform pgforeman.refuse_silence(); end if;
        exit;
      exception when others then
        -- What cannot be read must not keep its message for ever. Only where it stands alone.
        if try = 2 or cardinality(wanted) > 1 then raise; end if;
        begin
          perform length(m.payload::text) from pgforeman.message m where m.id = wanted[1];
        exception when others then no_payload := sqlerrm;
        end;
        begin
          perform length(concat(m.headers, m.history))
          from pgforeman.message m where m.id = wanted[1];
        exception when others then no_rest := sqlerrm;
        end;
        if num_nulls(no_payload, no_rest) = 2 then raise; end if;
      end;
    end loop;
  end if;

  if 'released' = any (settle.outcomes) then
    select array_agg(i) into wanted
    from unnest(settle.ids, settle.outcomes) l (i, o) where o = 'released';
    with freed as (
      update pgforeman.message m
      set token = 0, visible_at = '-infinity', -- proves: P24
          place = case when l.d > interval '0' then m.place else pgforeman.next_place(m.place) end,
          state = (coalesce(l.d, interval '0') > interval '0')::int,
          due_at = case when l.d > interval '0' then clock_timestamp() + l.d else m.due_at end,
          claims_base = m.claims_base + (l.v is null)::int,
          history = pgforeman.with_run(m.history, l.v, m.claims)
      from unnest(settle.ids, settle.tokens, settle.outcomes, settle.delays, settle.evidence)
        l (i, t, o, d, v)
      where m.id = any (wanted) and m.id = l.i and m.token = l.t
        and l.t <> 0 and l.o = 'released'
      returning m.id, m.queue, m.state)
    select coalesce(array_agg(f.id), '{}'),
           coalesce(min(f.queue) filter (where f.state = 0), ready_queue)
    into released, ready_queue from freed f;
  end if;
  -- A row that a policy hides, or that a trigger keeps as it is, is not a lost lease: fails, so that
  -- it can be settled later.
  if cardinality(done) + cardinality(retried) + cardinality(dead) + cardinality(released) < given then
    if row_security_active('pgforeman.message') then perform pgforeman.refuse_row_security(); end if;
    if exists (
      select from unnest(settle.ids, settle.tokens) l (i, t)
      join pgforeman.message m on m.id = l.i and m.token = l.t
      where m.id = any (settle.ids) and l.t <> 0) then
      perform pgforeman.refuse_silence();
    end if;
  end if;
  -- Notifies, as this consumer may be about to end, or busy: another one can claim at once.
  if ready_queue is not null then perform pgforeman.announce(ready_queue, 'now'); end if;

  return query
    select l.i, coalesce(s.name, 'lost_lease')
    from unnest(all_ids) with ordinality l (i, place)
    left join (
      select unnest(locked) as i, 'locked' as name
      union all select unnest(done), 'done'
      union all select unnest(retried), 'retried'
      union all select unnest(dead), 'dead'
      union all select unnest(released), 'released') s on s.i = l.i
    order by l.place;
end
$$;

-- Extends leases to `lease` from now. 'skipped': the lease is held, but another transaction has
-- locked the row; try again. 'lost': the row has another token, or is gone.
create function pgforeman.renew(ids bigint[], tokens bigint[], lease interval)
returns table (id bigint, renewal text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- see end_done
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  given   int := cardinality(renew.ids);
  renewed bigint[];
  locked  bigint;
begin
  if cardinality(renew.tokens) <> given then
    raise exception 'ids and tokens must be equally long' using errcode = '22023';
  end if;
  with mine as (
    select m.id, m.token
    from pgforeman.message m, unnest(renew.ids, renew.tokens) l (i, t)
    where m.id = any (renew.ids) and m.id = l.i and m.token = l.t and l.t <> 0
    order by m.id  -- one order for all sessions: no deadlocks
    for no key update of m skip locked),
  extended as (
    update pgforeman.message m
    set visible_at = clock_timestamp() + renew.lease -- proves: P22
    from mine
    where m.id = any (renew.ids) and m.id = mine.id and m.token = mine.token
    returning m.id)
  select coalesce(array_agg(e.id), '{}'), (select count(*) from mine) into renewed, locked
  from extended e;
  if cardinality(renewed) < locked then perform pgforeman.refuse_silence(); end if;

  if cardinality(renewed) = given then
    return query select i, 'renewed' from unnest(renew.ids) i;
    return;
  end if;
  if row_security_active('pgforeman.message') then perform pgforeman.refuse_row_security(); end if;
  return query
    select l.i, case when r.i is not null then 'renewed'
                     when held.yes then 'skipped' else 'lost' end
    from unnest(renew.ids, renew.tokens) with ordinality l (i, t, place)
    left join unnest(renewed) r (i) on r.i = l.i
    left join lateral (
      select true as yes from pgforeman.message m
      where m.id = l.i and m.token = l.t and l.t <> 0 limit 1) held on true
    order by l.place;
end
$$;

-- Releases the messages held under a token, for a claim with a lost answer. No index has tokens:
-- scans the first 20,000 of each range of places; others wait for the end of their lease. With
-- `error` one of them may have killed the claimer: a message with more than one unfinished claim then
-- waits for a second, one with more than ten counts a crash.
create function pgforeman.release_token(
  queue text, token bigint, error text default null, evidence jsonb default null,
  max_crashes int default null, backoff interval default null, backoff_max interval default null,
  above bigint[] default '{0}', upto bigint[] default '{9223372036854775807}')
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
  released bigint := 0;
  got      bigint;
  began    timestamptz := clock_timestamp();
  xid      xid8 := pg_current_xact_id();  -- before the first place or due time: see next_place
begin
  if release_token.token = 0 then return 0; end if;
  select array_agg(w.id), array_agg(release_token.error is not null and w.unfinished_claims > 1),
         array_agg(w.id) filter (where w.unfinished_claims > 10 and release_token.error is not null)
  into held, waiting, suspects
  from unnest(release_token.above, release_token.upto) l (above, upto)
  cross join lateral (
    select m.id, m.token, m.claims - m.claims_base - m.attempt - m.crashes as unfinished_claims
    from pgforeman.message m
    where m.queue = release_token.queue and m.state = 0
      and m.place > l.above and m.place <= l.upto
    order by m.queue, m.place limit most) w
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
  set constraints all immediate;  -- see make_ready
  for i in 0..cardinality(held) loop  -- 0: all at once; if that fails one by one, for a quarter of a second
    exit when i > 0 and clock_timestamp() > began + interval '250 ms';
    begin
      update pgforeman.message m
      set token = 0, visible_at = '-infinity', state = w.waits::int,
          place = case when w.waits then m.place else pgforeman.next_place(m.place) end,
          due_at = case when w.waits then clock_timestamp() + interval '1 second' else m.due_at end,
          claims_base = m.claims_base + (release_token.error is null)::int
      from unnest(held, waiting) w (id, waits)
      where m.id = any (case when i = 0 then held else held[i:i] end) and m.id = w.id
        and m.token = release_token.token;
      get diagnostics got = row_count;
      released := released + got;
      exit when i = 0;
    exception when others or assert_failure or query_canceled then
      if sqlstate = '57014' and clock_timestamp() > began + interval '500 ms'
         or i = cardinality(held) and released = 0 then
        raise;
      end if;
    end;
  end loop;
  if released > 0 then perform pgforeman.announce(release_token.queue, 'now'); end if;
  return released + coalesce(cardinality(suspects), 0);
end
$$;

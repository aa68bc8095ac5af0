-- The claim function, for consumers.
--
-- The functions carry SETs because plans are made once a session, often while the table is empty.
-- Without SETs each claim scans an idle queue from end to end when it suddenly fills. A function's
-- plans are kept per session without prepared statements, so all of this works behind a transaction
-- pooler too.

-- Deletes messages that are done and were claimed together. Returns whether all were still held
-- under `token`; if not, the caller must roll back. No RETURNING: it would double the cost of a
-- delete. claim calls it, so the SETs of claim apply.
create function pgforeman.end_done(ids bigint[], token bigint)
returns boolean
language plpgsql volatile
set lock_timeout = '200ms'  -- one locked row must not make all others wait
as $$
declare
  given int    := cardinality(end_done.ids);
  first bigint := end_done.ids[1];
  last  bigint := end_done.ids[given];
  gone  int;
begin
  if end_done.token = 0 then
    return false;
  elsif given = 1 then
    -- proves: P21 alone
    delete from pgforeman.message m where m.id = first and m.token = end_done.token;
  -- Consecutive ids, as most are: one range scan instead of a search for each id.
  elsif first > 0 and last > 0 and last - first = given - 1
        and end_done.ids = array(select generate_series(first, last)) then
    delete from pgforeman.message m
    where m.id between first and last
      and m.token = end_done.token;  -- proves: P21 range
  else
    delete from pgforeman.message m
    where m.id = any (end_done.ids)
      and m.token = end_done.token;  -- proves: P21 list
  end if;
  get diagnostics gone = row_count;
  return gone = given;
end
$$;

-- Locks up to `most` claimable messages and returns their ctids, the most urgent first. Scans the
-- places above above[i] up to upto[i], a range only if those before it did not give enough. Only
-- index message_ready can serve the form of the query. claim calls it, so the SETs of claim apply.
create function pgforeman.lock_claimable(
  queue text, most int, moment timestamptz, above bigint[], upto bigint[])
returns tid[]
language plpgsql volatile
as $$
begin
  return array(
    select w.ctid
    from unnest(lock_claimable.above, lock_claimable.upto) l (above, upto)
    cross join lateral (
      select r.ctid
      from pgforeman.message r
      where r.queue = lock_claimable.queue and r.state = 0
        and r.visible_at <= lock_claimable.moment
        and r.place > l.above and r.place <= l.upto
      order by r.queue, r.place
      limit lock_claimable.most
      for update skip locked) w
    limit lock_claimable.most);
end
$$;

-- Raises an error if row level security hides messages from the caller: a claim would see an empty
-- queue.
create function pgforeman.refuse_row_security()
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  problem text := pgforeman.row_security_problem();
begin
  if problem is not null then
    raise exception '%', problem using errcode = '42501';
  end if;
end
$$;

-- Raises the error for a row that a trigger silently keeps from being changed, or changes back: it is
-- refused, as with an error of the trigger. (As a number, for use in expressions.)
create function pgforeman.refuse_silence()
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'a trigger keeps the row from being changed, without an error'
    using errcode = '39P01';
end
$$;

-- Takes up to `max_messages` claimable messages for `lease` under `token`, the most urgent, in no
-- order. First ends the leases of `done`, messages of an earlier claim that are done: one round
-- trip and one commit for both. If one was no longer held under `done_token`, fails with SQLSTATE
-- PF001 (drivers do not retry it by themselves) and has done nothing: settle says which one.
-- `unfinished_claims`: earlier claims that ended without a result (hosts lost, fleets stopped).
-- `above`, `upto`: the ranges of places to claim from (see lock_claimable).
-- Rows are addressed by ctid, as the lock was just taken on that very row version.
create function pgforeman.claim(
  queue text, max_messages int, token bigint, lease interval, done bigint[] default '{}',
  done_token bigint default 0, above bigint[] default '{0}',
  upto bigint[] default '{9223372036854775807}')
returns table (
  id bigint, place bigint, attempt int, fence bigint, unfinished_claims bigint, enqueued_at timestamptz,
  payload json, headers jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set lock_timeout = '2s'  -- a claim in doubt must end before its release at 13 s
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  moment timestamptz;
  locked tid[];
  taken  int;
begin
  if claim.token is null or claim.token = 0 then
    raise exception 'token % is not valid: a number other than 0, never used before',
      coalesce(claim.token::text, 'NULL') using errcode = '22023';
  end if;
  if claim.lease is null or claim.lease <= interval '0' then
    raise exception 'lease % is not valid: an interval greater than 0',
      coalesce(claim.lease::text, 'NULL') using errcode = '22023';
  end if;
  -- Settles before it claims, so that two sessions that do both never wait for each other.
  if cardinality(claim.done) > 0
     and not pgforeman.end_done(claim.done, claim.done_token) then
    raise exception 'not all of what is done was still held: settle it by itself'
      using errcode = 'PF001';
  end if;
  -- If the head of the queue moves between scan and lock, a scan may find nothing though there is
  -- work: only after two such scans the queue counts as empty.
  for look in 1..2 loop
    moment := clock_timestamp();
    locked := pgforeman.lock_claimable(
      claim.queue, claim.max_messages, moment, claim.above, claim.upto);
    continue when cardinality(locked) = 0;
    return query
      update pgforeman.message m
      set visible_at = moment + claim.lease, token = claim.token, claims = m.claims + 1
      where m.ctid = any (locked)
      returning m.id, m.place, m.attempt + 1,
                case when m.token = claim.token then m.claims else pgforeman.refuse_silence() end,
                m.claims - m.claims_base - 1 - m.attempt - m.crashes,
                m.enqueued_at, m.payload, m.headers;
    get diagnostics taken = row_count;
    if taken < cardinality(locked) then
      perform pgforeman.refuse_silence(); -- proves: P28 silent
    end if;
    exit;
  end loop;
  if cardinality(locked) = 0 and row_security_active('pgforeman.message') then
    perform pgforeman.refuse_row_security(); -- proves: P36 security
  end if;
end
$$;

-- Locks as lock_claimable does where some rows cannot be read, as their page is damaged: looks at fewer
-- places at a time around these, for a quarter of a second. `unreadable`: places that cannot be read.
create function pgforeman.lock_readable(
  queue text, most int, moment timestamptz, above bigint[], upto bigint[],
  out locked tid[], out unreadable bigint[], out error text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  began timestamptz := clock_timestamp();
  low   bigint;
  step  bigint;
begin
  locked := '{}';
  unreadable := '{}';
  for i in 1..cardinality(lock_readable.above) loop
    low := lock_readable.above[i];
    step := 4096;
    while low < lock_readable.upto[i] and cardinality(locked) < lock_readable.most
          and clock_timestamp() < began + interval '250 ms' loop
      begin
        locked := locked || pgforeman.lock_claimable(
          lock_readable.queue, lock_readable.most - cardinality(locked), lock_readable.moment,
          array[low], array[low + least(step, lock_readable.upto[i] - low)]);
        low := low + least(step, lock_readable.upto[i] - low);
        step := least(step, 1::bigint << 61) * 2;
      exception when data_corrupted or index_corrupted or io_error or undefined_file then
        error := sqlerrm;
        if step = 1 then
          low := low + 1;
          unreadable := unreadable || low;
        end if;
        step := greatest(step / 64, 1);
      end;
    end loop;
  end loop;
end
$$;

-- The same without payloads, and row by row: for the time after a claim that failed, perhaps because
-- of one message. Takes half a second at most. A row that the database refuses to change (a trigger can)
-- is not claimed: it has the reason in `refusal` and its SQLSTATE in `state`. A place that cannot be read
-- has id 0.
create function pgforeman.claim_each(
  queue text, max_messages int, token bigint, lease interval, above bigint[] default '{0}',
  upto bigint[] default '{9223372036854775807}')
returns table (
  id bigint, place bigint, attempt int, fence bigint, unfinished_claims bigint,
  enqueued_at timestamptz, refusal text, state text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set lock_timeout = '2s'  -- see claim
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  moment timestamptz := clock_timestamp();
  locked tid[];
  damage bigint[] := '{}';
  row_id tid;
  taken  int := 0;
begin
  begin
    locked := pgforeman.lock_claimable(
      claim_each.queue, claim_each.max_messages + 64, moment, claim_each.above, claim_each.upto);
  exception when data_corrupted or index_corrupted or io_error or undefined_file then
    select l.locked, l.unreadable, l.error into locked, damage, refusal
    from pgforeman.lock_readable(claim_each.queue, claim_each.max_messages + 64, moment,
                                 claim_each.above, claim_each.upto) l;
    return query
      select 0::bigint, d, 0, 0::bigint, 0::bigint, moment, refusal, 'XX001' from unnest(damage) d;
  end;
  set constraints all immediate;    -- a deferred trigger would refuse all rows, at the commit
  set local lock_timeout = '50ms';  -- a row's trigger may wait for locks
  foreach row_id in array locked loop
    exit when taken >= claim_each.max_messages
              or clock_timestamp() > moment + interval '500 ms';
    begin
      refusal := null;
      state := null;
      update pgforeman.message m
      set visible_at = moment + claim_each.lease, token = claim_each.token, claims = m.claims + 1
      where m.ctid = row_id
      returning m.id, m.place, m.attempt + 1,
                case when m.token = claim_each.token then m.claims
                     else pgforeman.refuse_silence() end,
                m.claims - m.claims_base - 1 - m.attempt - m.crashes, m.enqueued_at
      into id, place, attempt, fence, unfinished_claims, enqueued_at;
      if not found then perform pgforeman.refuse_silence(); end if;
      taken := taken + 1;
    exception when others or assert_failure or query_canceled then
      -- A cancellation so soon is taken for an error that the row's trigger raised.
      if sqlstate = '57014' and clock_timestamp() > moment + interval '500 ms' then raise; end if;
      refusal := sqlerrm;
      state := sqlstate;
      select m.id, m.place, 0, m.claims, 0, m.enqueued_at
      into id, place, attempt, fence, unfinished_claims, enqueued_at
      from pgforeman.message m where m.ctid = row_id;
    end;
    return next;
  end loop;
end
$$;

-- Returns payload and headers of a message that is held under this token; no row if it is not.
create function pgforeman.payload_of(id bigint, token bigint)
returns table (payload json, headers jsonb)
language sql stable
set enable_seqscan = off
set enable_bitmapscan = off
begin atomic
  select m.payload, m.headers from pgforeman.message m
  where m.id = payload_of.id and m.token = payload_of.token;
end;

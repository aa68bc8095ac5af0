-- For producers, in their own transactions.

-- Checks what every send is given; names the thing, its value and what is allowed.
create function pgforeman.check_send(queue text, priority int, delay interval, headers jsonb)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if queue is null or queue !~ '^[A-Za-z0-9_.:-]{1,63}$' then
    raise exception 'queue name % is not valid: 1 to 63 characters of A-Z a-z 0-9 _ . : -',
      coalesce(quote_literal(left(queue, 80)), 'NULL') using errcode = '22023';
  end if;
  if priority is null or priority not between 0 and 3 then
    raise exception 'priority % is not valid: 0 (urgent), 1 (high), 2 (normal) or 3 (low)',
      coalesce(priority::text, 'NULL') using errcode = '22023';
  end if;
  if delay is null or delay < interval '0' or not isfinite(delay) then
    raise exception 'delay % is not valid: an interval of 0 or more',
      coalesce(delay::text, 'NULL') using errcode = '22023';
  end if;
  if headers is null or jsonb_typeof(headers) <> 'object' then
    raise exception 'headers of type % are not valid: a JSON object',
      coalesce(jsonb_typeof(headers), 'NULL') using errcode = '22023';
  end if;
end
$$;

-- Tells the fleets of a queue, when this transaction commits, that there is work 'now' or 'later'.
-- Notifications cost every committer a turn at one lock of the whole server: without a listener
-- none is sent. Listeners share an advisory lock; who can have it alone is alone.
create function pgforeman.announce(queue text, word text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- One expression, no statement: each send asks this. Who holds the lock in such a way that it
  -- cannot even be shared is another sender, which asks just now.
  if not (pg_try_advisory_lock(1885824614, hashtext(announce.queue))
          and pg_advisory_unlock(1885824614, hashtext(announce.queue)))
     and pg_try_advisory_lock_shared(1885824614, hashtext(announce.queue))
     and pg_advisory_unlock_shared(1885824614, hashtext(announce.queue)) then
    perform pg_notify('pgforeman', announce.queue || ' ' || announce.word); -- proves: P26
  end if;
end
$$;

-- Makes this session count as a listener of the queue until it leaves or ends; LISTEN is up to the
-- caller. `test`: also sends it a notification, by which it knows that they come through.
create function pgforeman.become_listener(queue text, test boolean default false)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_lock_shared(1885824614, hashtext(become_listener.queue));
  if become_listener.test then perform pg_notify('pgforeman', become_listener.queue || ' test'); end if;
end
$$;

create function pgforeman.leave_listeners(queue text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_unlock_shared(1885824614, hashtext(leave_listeners.queue));
end
$$;

-- Enqueues one message in the caller's own transaction; returns its id.
create function pgforeman.send(
  queue text, payload jsonb, priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  sent_id bigint;
begin
  perform pgforeman.check_send(send.queue, send.priority, send.delay, send.headers);
  if send.payload is null then
    raise exception 'payload is NULL: a JSON value is needed (JSON''s own null is ''null''::jsonb)'
      using errcode = '22004';
  end if;
  insert into pgforeman.message (queue, lane, state, due_at, payload, headers)
  values (
    send.queue, 2 * send.priority + 1,
    case when send.delay > interval '0' then 1 else 0 end,
    case when send.delay > interval '0' then clock_timestamp() + send.delay end,
    send.payload, send.headers)
  returning id into sent_id;
  perform pgforeman.announce(
    send.queue, case when send.delay > interval '0' then 'later' else 'now' end);
  return sent_id;
end
$$;

-- Enqueues many messages alike; returns their ids in the order of `payloads`.
create function pgforeman.send_batch(
  queue text, payloads jsonb[], priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform pgforeman.check_send(
    send_batch.queue, send_batch.priority, send_batch.delay, send_batch.headers);
  if array_position(send_batch.payloads, null) is not null then
    raise exception 'payload number % is NULL: a JSON value is needed',
      array_position(send_batch.payloads, null) using errcode = '22004';
  end if;
  return query
    insert into pgforeman.message (queue, lane, state, due_at, payload, headers)
    select
      send_batch.queue, 2 * send_batch.priority + 1,
      case when send_batch.delay > interval '0' then 1 else 0 end,
      case when send_batch.delay > interval '0' then clock_timestamp() + send_batch.delay end,
      p.payload, send_batch.headers
    from unnest(send_batch.payloads) with ordinality p (payload, place)
    order by p.place
    returning id;
  if found then
    perform pgforeman.announce(
      send_batch.queue, case when send_batch.delay > interval '0' then 'later' else 'now' end);
  end if;
end
$$;

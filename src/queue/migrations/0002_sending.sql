-- Functions for producers, which call them in their own transactions.
--
-- send and send_batch run as their owner: a producer has no right on the tables and can only send.
-- The json versions do the work; the others convert. PostgreSQL takes an untyped literal as text.

-- A message must fit into one row that a claim returns, in every client encoding (limit: 1 GB).
create function pgforeman.max_payload_bytes() returns int language sql immutable return 268435456;
create function pgforeman.max_headers_bytes() returns int language sql immutable return 1048576;

-- Raises an error (22P05) for text that a claim could not return in UTF-8: some encodings have
-- bytes without a character. (SQL_ASCII converts nothing.)
create function pgforeman.check_encoding(text text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if getdatabaseencoding() not in ('UTF8', 'SQL_ASCII') then
    perform convert_to(check_encoding.text, 'UTF8');
  end if;
end
$$;

-- Raises an error for arguments that are not valid; names one, its value and what is allowed.
create function pgforeman.check_send(queue text, priority int, delay interval, headers jsonb)
returns void
language plpgsql stable
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
  if delay is null or delay < interval '0' or delay > interval '1000 years' then
    raise exception 'delay % is not valid: an interval from 0 to 1000 years',
      coalesce(delay::text, 'NULL') using errcode = '22023';
  end if;
  if headers is null or jsonb_typeof(headers) <> 'object' then
    raise exception 'headers of type % are not valid: a JSON object',
      coalesce(jsonb_typeof(headers), 'NULL') using errcode = '22023';
  end if;
  if octet_length(headers::text) > pgforeman.max_headers_bytes() then
    raise exception 'headers of % bytes are not valid: at most % bytes',
      octet_length(headers::text), pgforeman.max_headers_bytes() using errcode = '22023';
  end if;
  perform pgforeman.check_encoding(headers::text);
end
$$;

-- Raises an error for a payload that is not valid. `place`: its number in a batch.
create function pgforeman.check_payload(payload json, place bigint default null)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if payload is null then
    raise exception '% is NULL: a JSON value is needed (JSON''s own null is ''null'')',
      concat_ws(' number ', 'payload', place) using errcode = '22004';
  end if;
  if octet_length(payload::text) > pgforeman.max_payload_bytes() then
    raise exception '% has % bytes: at most % bytes are allowed',
      concat_ws(' number ', 'payload', place), octet_length(payload::text),
      pgforeman.max_payload_bytes() using errcode = '22023';
  end if;
  perform pgforeman.check_encoding(payload::text);
end
$$;

-- Notifies the fleets of a queue, at commit, of work 'now' or 'later'. A notification costs each
-- committer a turn at one lock of the server, so none is sent without a listener. Listeners share
-- an advisory lock: a sender that can have it alone knows that there is no listener.
create function pgforeman.announce(queue text, word text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- One expression, no statement: each send evaluates it. If the lock cannot even be shared,
  -- another sender holds it for the same check.
  if not (pg_try_advisory_lock(1885824614, hashtext(announce.queue))
          and pg_advisory_unlock(1885824614, hashtext(announce.queue)))
     and (pg_try_advisory_lock_shared(1885824614, hashtext(announce.queue))
          and pg_advisory_unlock_shared(1885824614, hashtext(announce.queue))
          -- Any role may wait for the lock; behind it the lock cannot be shared either.
          or exists (select from pg_locks l
                     where l.locktype = 'advisory' and l.classid = 1885824614 and l.mode = 'ShareLock'
                       and l.objid = (hashtext(announce.queue)::bigint & 4294967295)::oid
                       and l.granted)) then
    perform pg_notify('pgforeman', announce.queue || ' ' || announce.word); -- proves: P26
  end if;
end
$$;

-- Makes this session count as a listener of the queue until it leaves or ends; the caller must
-- LISTEN. `test`: also sends it a notification, which shows that they arrive.
create function pgforeman.become_listener(queue text, test boolean default false)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'  -- any role can hold an advisory lock
as $$
begin
  perform pg_advisory_lock_shared(1885824614, hashtext(become_listener.queue));
  if become_listener.test then perform pg_notify('pgforeman', become_listener.queue || ' test'); end if;
end
$$;

create function pgforeman.leave_listeners(queue text)
returns void
language sql volatile
begin atomic
  select pg_advisory_unlock_shared(1885824614, hashtext(leave_listeners.queue));
end;

-- Returns a new place for a message that comes back: behind all others of its priority that came
-- back. A place is lane * 2^56 + a number, and claims take the lowest first. Lane 2 * priority is for
-- messages that came back, 2 * priority + 1 for fresh ones. Numbers and ids are one sequence.
-- The transaction gets its own number first, as it must before each due time: maintenance sees which
-- transactions are open, and knows so where messages may still appear (see open_writers).
-- Has no SET, so that it becomes a part of the caller's plan.
create function pgforeman.next_place(place bigint)
returns bigint
language sql volatile
return (next_place.place >> 57 << 57)
       + case when pg_current_xact_id() is not null -- proves: P38 order
              then nextval('pgforeman.message_id_seq') end;

-- Enqueues one message in the caller's own transaction; returns its id.
create function pgforeman.send(
  queue text, payload json, priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  later   boolean := send.delay > interval '0';
  sent_id bigint;
begin
  -- One expression is enough for nearly all calls. Small stored sizes need no closer check.
  if (send.queue ~ '^[A-Za-z0-9_.:-]{1,63}$' and send.priority between 0 and 3
      and send.delay >= interval '0' and send.delay <= interval '1000 years'
      and jsonb_typeof(send.headers) = 'object' and pg_column_size(send.headers) <= 100
      and pg_column_size(send.payload) <= 1000000
      and getdatabaseencoding() in ('UTF8', 'SQL_ASCII')) is not true then
    perform pgforeman.check_send(send.queue, send.priority, send.delay, send.headers);
    perform pgforeman.check_payload(send.payload);
  end if;
  -- See next_place. A scheduled message gets its number when it is due.
  sent_id := case when pg_current_xact_id() is not null
                  then nextval('pgforeman.message_id_seq') end;
  insert into pgforeman.message (id, queue, place, state, due_at, payload, headers)
  values (sent_id, send.queue,
          (send.priority::bigint << 57)
            + case when later then 0 else 72057594037927936 + sent_id end,
          later::int, case when later then clock_timestamp() + send.delay end, send.payload,
          send.headers);
  -- Makes the first check of announce here, which saves the call without a listener.
  if not (pg_try_advisory_lock(1885824614, hashtext(send.queue))
          and pg_advisory_unlock(1885824614, hashtext(send.queue))) then
    perform pgforeman.announce(send.queue, case when later then 'later' else 'now' end);
  end if;
  return sent_id;
end
$$;

create function pgforeman.send(
  queue text, payload text, priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns bigint
language sql volatile
return pgforeman.send(send.queue, send.payload::json, send.priority, send.delay, send.headers);

create function pgforeman.send(
  queue text, payload jsonb, priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns bigint
language sql volatile
return pgforeman.send(send.queue, send.payload::json, send.priority, send.delay, send.headers);

-- Enqueues many messages with the same options; returns their ids in the order of `payloads`.
create function pgforeman.send_batch(
  queue text, payloads json[], priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns setof bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  later boolean := send_batch.delay > interval '0';
begin
  perform pgforeman.check_send(
    send_batch.queue, send_batch.priority, send_batch.delay, send_batch.headers);
  if num_nulls(variadic send_batch.payloads) > 0
     or pg_column_size(send_batch.payloads) > 1000000
     or getdatabaseencoding() not in ('UTF8', 'SQL_ASCII') then
    perform pgforeman.check_payload(p.payload, p.place)
    from unnest(send_batch.payloads) with ordinality p (payload, place);
  end if;
  return query
    insert into pgforeman.message (id, queue, place, state, due_at, payload, headers)
    select
      p.id, send_batch.queue,
      (send_batch.priority::bigint << 57)
        + case when later then 0 else 72057594037927936 + p.id end,
      later::int, case when later then clock_timestamp() + send_batch.delay end, p.payload,
      send_batch.headers
    from (select case when pg_current_xact_id() is not null
                      then nextval('pgforeman.message_id_seq') end as id, u.payload
          from unnest(send_batch.payloads) u (payload)) p
    returning id;
  if found then
    perform pgforeman.announce(send_batch.queue, case when later then 'later' else 'now' end);
  end if;
end
$$;

create function pgforeman.send_batch(
  queue text, payloads text[], priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns setof bigint
language sql volatile
begin atomic
  select pgforeman.send_batch(send_batch.queue, send_batch.payloads::json[], send_batch.priority,
                              send_batch.delay, send_batch.headers);
end;

create function pgforeman.send_batch(
  queue text, payloads jsonb[], priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns setof bigint
language sql volatile
begin atomic
  select pgforeman.send_batch(send_batch.queue, send_batch.payloads::json[], send_batch.priority,
                              send_batch.delay, send_batch.headers);
end;

-- For drivers that pass arrays as untyped text: an array of PostgreSQL ({...}) or of JSON ([...]).
create function pgforeman.send_batch(
  queue text, payloads text, priority int default 2, delay interval default '0',
  headers jsonb default '{}')
returns setof bigint
language sql volatile
begin atomic
  select pgforeman.send_batch(
    send_batch.queue,
    case when send_batch.payloads ~ '^\s*\[(?!\d+:\d+\])'
         then array(select e.value from json_array_elements(send_batch.payloads::json)
                      with ordinality e (value, place) order by e.place)
         else send_batch.payloads::json[] end,
    send_batch.priority, send_batch.delay, send_batch.headers);
end;

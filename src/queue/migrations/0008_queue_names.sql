-- Returns the queues that have messages or dead letters, by name, with how many of each (1,000 at
-- most). Steps from name to name in the indexes: the cost does not grow with the size of queues.
create function pgforeman.queues(max_queues int default 20)
returns table (queue text, messages bigint, dead bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  most constant int := 1000;
begin
  return query
    with recursive named (name) as (
      select '' collate "C"
      union all
      select least(
        (select m.queue from pgforeman.message m where m.queue > n.name and m.state = 0
         order by m.queue, m.place limit 1),
        (select m.queue from pgforeman.message m where m.queue > n.name and m.state = 1
         order by m.queue, m.due_at limit 1),
        (select d.queue from pgforeman.dead_message d where d.queue > n.name
         order by d.queue, d.died_at, d.id limit 1))
      from named n
      where n.name is not null)
    select n.name, least(most, ready.count + scheduled.count), dead.count
    from (select name from named where name <> '' limit queues.max_queues) n
    cross join lateral (
      select count(*) from (select from pgforeman.message m where m.queue = n.name and m.state = 0
                            order by m.queue, m.place limit most) w) ready
    cross join lateral (
      select count(*) from (select from pgforeman.message m where m.queue = n.name and m.state = 1
                            order by m.queue, m.due_at limit most) w) scheduled
    cross join lateral (
      select count(*) from (select from pgforeman.dead_message d where d.queue = n.name
                            order by d.queue, d.died_at, d.id limit most) w) dead
    order by n.name;
end
$$;

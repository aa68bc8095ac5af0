"""How many messages a second N senders commit, each in a transaction of its own, while a fleet
listens: with wake-ups, and in a database whose wake-ups are taken out (`announce` does nothing)."""
import json

from .processes import Failed
from .wake import sender

METRICS = {"rate": ("sent a second", "1/s", "higher")}


def without_wake_ups(psql):
    found = psql("select pg_get_function_identity_arguments(oid), pg_get_function_result(oid) "
                 "from pg_proc where proname = 'announce' and "
                 "pronamespace = 'pgforeman'::regnamespace")
    if len(found) != 1:
        raise Failed("there is no function pgforeman.announce to take out")
    arguments, result = found[0]
    psql(f"create or replace function pgforeman.announce({arguments}) returns {result} "
         "language plpgsql volatile set search_path = pg_catalog, pg_temp as 'begin end'")


def measure(bench, contestant, parameters):
    with bench.database(contestant, parameters["durable"]) as psql:
        if contestant.options.get("wake_ups") is False:
            without_wake_ups(psql)
        if parameters["backlog"]:
            contestant.fill(psql, parameters["backlog"], bench.payload(100)).commit()
        fleet = contestant.start("bench", parameters["children"], parameters["batch"],
                                 idle=not parameters["backlog"])
        try:
            talker = sender(bench, contestant, senders=parameters["senders"],
                            seconds=parameters["seconds"])
            try:
                talker.say()
                sent = json.loads(talker.expect("{"))
            finally:
                talker.stop()
            if parameters["backlog"] and not contestant.is_left(psql, 0):
                raise Failed("the consumers were not busy all the time: a larger backlog is needed")
        finally:
            fleet.stop()
    return {None: {"rate": sent["sent"] / sent["seconds"]}}, {}


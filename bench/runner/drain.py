"""How long until a full queue is empty.

The workers are started first, on an empty queue, and wait. Then all messages are sent in one
transaction; its commit is the starting gun, and the time ends when the database shows that nothing of
them is left. So a contestant pays for its wake-up, but not for its start. Each round has a fresh
database. A checkpoint comes before the filling, so that none falls into the drain."""
import json
import math
import time

from .against import original
from .distance import away
from .processes import Failed, cpu_seconds
from .server import Psql

METRICS = {
    "rate": ("messages a second", "1/s", "higher"),
    "server_cpu": ("CPU of the server a message", "µs", "lower"),
    "worker_cpu": ("CPU of the workers a message", "µs", "lower"),
    "round_trip": ("round trip to the server", "ms", "info"),
    "seconds": ("lasted", "s", "info"),
    "jobs": ("messages", "", "info"),
}
PATIENCE = 180
WARM_UP = 1000
CALIBRATIONS = 2


def wait_until_handled(workers, count, patience=PATIENCE):
    """Asks seldom while much is left and often towards the end."""
    begin = time.monotonic()
    while True:
        handled = workers.handled()
        if handled >= count:
            return
        spent = time.monotonic() - begin
        if spent > patience:
            raise Failed(f"{handled} of {count} messages were handled within {patience} s")
        left = spent / max(1, handled) * (count - handled)
        time.sleep(min(0.1, max(0.002, left / 3)))


def drain(bench, contestant, psql, workers, jobs, payload):
    """Seconds from the commit of `jobs` messages until the last is gone, and CPU seconds of both."""
    newest = contestant.newest(psql)
    before = workers.handled()
    bench.server.admin("checkpoint")
    filler = contestant.fill(psql, jobs, payload)
    cpu_before = bench.server.cpu_seconds(), sum(cpu_seconds(p) for p in workers.pids())
    begin = time.monotonic()
    filler.commit()
    workers.go()
    wait_until_handled(workers, before + jobs)
    until = time.monotonic() + 30
    while True:
        # The look itself walks what is gone. It sees what was there when it began.
        seconds = time.monotonic() - begin
        if not contestant.is_left(psql, newest):
            break
        if time.monotonic() > until:
            raise Failed(f"{contestant.name} says it is done, but messages are left")
        time.sleep(0.002)
    cpu = (bench.server.cpu_seconds() - cpu_before[0],
           sum(cpu_seconds(p) for p in workers.pids()) - cpu_before[1])
    if hasattr(filler, "close"):
        filler.close()
    if (handled := workers.handled() - before) != jobs:
        raise Failed(f"{contestant.name} handled {handled} messages of {jobs}")
    return seconds, cpu


def fill_behind(contestant, psql, count, payload):
    """Rows that are gone, but that a held snapshot keeps from being cleaned away."""
    for done in range(0, count, 200_000):
        filler = contestant.fill(psql, min(200_000, count - done), payload)
        filler.commit()
        if hasattr(filler, "close"):
            filler.close()
    contestant.delete_all(psql)


def pass_returned(contestant, psql, count, payload):
    """So many messages that were delayed, and as many that were retried, are handled: what a held
    snapshot keeps of them lies where messages come back. For a peer: rows that are gone."""
    if contestant.passes_returned:
        contestant.pass_returned(psql, count)
    else:
        fill_behind(contestant, psql, 2 * count, payload)


def run(bench, contestant, parameters, jobs):
    """One drain in a fresh database: seconds, CPU seconds, and what else is to be known of it."""
    payload = bench.payload(parameters["payload"])
    # Words for our handler: those that have none take none.
    takes = parameters.get("takes_ms")
    more = {"handler": f"--takes {takes}"} if takes else {}
    holder = None
    with bench.database(contestant, parameters.get("durable", True)) as psql:
        try:
            if parameters.get("delayed"):
                filler = contestant.fill(psql, parameters["delayed"], payload, delayed=True)
                filler.commit()
                if hasattr(filler, "close"):
                    filler.close()
            behind = parameters.get("dead", parameters.get("returned"))
            if behind is not None:
                holder = Psql(bench.server, "bench")
                holder("begin isolation level repeatable read; select count(*) from pg_class")
                passes = pass_returned if "returned" in parameters else fill_behind
                passes(contestant, psql, behind, payload)
            with away(bench, parameters.get("round_trip_ms")) as figures:
                workers = contestant.start("bench", parameters["children"], parameters["batch"],
                                           **more)
                try:
                    if behind is not None:
                        # Whoever remembers where the head is has a chance to learn it, unmeasured.
                        drain(bench, contestant, psql, workers, parameters.get("warm_up", WARM_UP),
                              payload)
                    return *drain(bench, contestant, psql, workers, jobs, payload), figures
                finally:
                    workers.stop()
        finally:
            if holder:
                holder.close()


def enough(jobs, seconds, least):
    """How many messages keep a contestant busy for `least` seconds that is done with `jobs` in
    `seconds`. Some more, as a short drain is the slower one; in round figures."""
    wanted = 1.4 * least * jobs / seconds
    unit = 10 ** max(0, math.floor(math.log10(wanted)) - 1)
    return math.ceil(wanted / unit) * unit


def measure(bench, contestant, parameters):
    """With `least_seconds` a drain lasts so long at least: where the first one ends sooner, it is
    made again with more messages, and all rounds to come have as many. So have twins (see
    against.py), which make a pair."""
    jobs, least = parameters["jobs"], parameters.get("least_seconds", 0)
    key = original(contestant.name), json.dumps(parameters, sort_keys=True)
    jobs = bench.calibrated.get(key, jobs)
    seconds, cpu, figures = run(bench, contestant, parameters, jobs)
    tries = 0 if key in bench.calibrated else CALIBRATIONS
    while seconds < least and tries > 0:
        tries -= 1
        jobs = enough(jobs, seconds, least)
        seconds, cpu, figures = run(bench, contestant, parameters, jobs)
    bench.calibrated[key] = jobs
    found = {"rate": jobs / seconds, "server_cpu": cpu[0] / jobs * 1e6,
             "worker_cpu": cpu[1] / jobs * 1e6} | figures | {"seconds": seconds}
    if not contestant.uses_server:
        del found["server_cpu"]
    if least:
        found["jobs"] = jobs
    return {None: found}, {}

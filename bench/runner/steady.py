"""A steady flow that leaves the workers time to wait: what a message costs then, and how soon it
starts. Bursts are what a drain measures; most queues see this.

Senders send 20 messages a transaction, so that they and their commits are not what is measured. The
server's CPU is told twice: of the workers' own sessions, and of all (with senders, writers of the
log, vacuum). The first second warms up. What waits at the end says whether the workers kept up."""
import json
import time

from . import stats
from .processes import Failed, cpu_seconds, run_seconds
from .wake import PATIENCE, latencies_ms, sender

METRICS = {
    "fleet_cpu": ("CPU of the workers' sessions at the server, a message", "µs", "lower"),
    "server_cpu": ("CPU of the whole server a message", "µs", "lower"),
    "worker_cpu": ("CPU of the workers a message", "µs", "lower"),
    "p50": ("half start within", "ms", "lower"),
    "p99": ("99 % start within", "ms", "lower"),
    "rate": ("sent a second", "1/s", "info"),
    "waiting": ("waiting at the end", "", "info"),
}
AT_ONCE = 20
WARM_UP = 1.0


def look(bench, psql, workers):
    """Everything that counts up, at one moment: CPU seconds, of the workers' sessions by process.
    Those are all sessions but ours and the senders'."""
    rows = psql("select pid from pg_stat_activity where datname = current_database() and "
                "backend_type = 'client backend' and application_name not in "
                "('psql', 'bench sender')")
    return {"sessions": {pid: run_seconds(pid) or 0.0 for (pid,) in rows},
            "server": bench.server.cpu_seconds(),
            "workers": sum(cpu_seconds(pid) for pid in workers.pids()),
            "done": workers.handled()}


def between(first, last):
    """CPU a message in µs. A session that came meanwhile counts from its start; one that ended is
    not known any more."""
    messages = last["done"] - first["done"]
    if messages <= 0:
        raise Failed("no message was done in the time that is measured")
    sessions = sum(cpu - first["sessions"].get(pid, 0) for pid, cpu in last["sessions"].items())
    return {"fleet_cpu": sessions / messages * 1e6,
            "server_cpu": (last["server"] - first["server"]) / messages * 1e6,
            "worker_cpu": (last["workers"] - first["workers"]) / messages * 1e6}


def wait_for_all(workers, count):
    until = time.monotonic() + PATIENCE
    while workers.handled() < count:
        if time.monotonic() > until:
            raise Failed(f"{workers.handled()} of {count} messages were handled")
        time.sleep(0.02)


def measure(bench, contestant, parameters):
    file = bench.scratch("latencies")
    file.unlink(missing_ok=True)
    aged = contestant.options.get("mode") == "jsonl"
    seconds = parameters["seconds"] + WARM_UP
    with bench.database(contestant, parameters.get("durable", True)) as psql:
        workers = contestant.start("bench", parameters["children"], parameters["batch"],
                                   file if aged else None)
        try:
            talker = sender(bench, contestant, AT_ONCE, senders=parameters["senders"],
                            rate=parameters["rate"], seconds=seconds,
                            bytes=parameters["payload"])
            try:
                bench.server.admin("checkpoint")
                workers.go()
                talker.say()
                time.sleep(WARM_UP)
                first = look(bench, psql, workers)
                early = len(latencies_ms(file))
                time.sleep(parameters["seconds"] - 0.2)
                last = look(bench, psql, workers)
                told = json.loads(talker.expect("{", PATIENCE))
                waiting = told["sent"] - workers.handled()
            finally:
                talker.stop()
            wait_for_all(workers, told["sent"])
            ages = latencies_ms(file)[early:]
        finally:
            workers.stop()
    found = between(first, last)
    if ages:
        found |= {"p50": stats.percentile(ages, 0.5), "p99": stats.percentile(ages, 0.99)}
    found |= {"rate": told["sent"] / told["seconds"], "waiting": max(0, waiting)}
    return {None: found}, {"latencies": {None: ages}} if ages else {}

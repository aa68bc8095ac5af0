"""How long from a send until its handler begins.

bench_sender stamps each payload just before it sends; the handler subtracts that from the same
machine's monotonic clock when it sees the payload. So a latency holds the send's own round trip and
commit, the wake-up, the claim, and the way to the handler (for pgforeman a pipe to a jsonl process).
The floor is a bare insert with NOTIFY, one listener, and one query that takes the row.

`load` is what flows meanwhile: at 0 a message comes now and then to idle workers; else so many a
second of what each can do at most, which is measured first, by a short drain."""
import array
import json
import time

from . import stats
from .drain import drain, enough
from .processes import Failed, Talker

METRICS = {
    "p50": ("half start within", "ms", "lower"),
    "p99": ("99 % start within", "ms", "lower"),
    "p99.9": ("99.9 % start within", "ms", "lower"),
    "worst": ("worst", "ms", "lower"),
    "rate": ("sent a second", "1/s", "info"),
}
PATIENCE = 60


def latencies_ms(path):
    values = array.array("q")
    if path.exists():
        data = path.read_bytes()
        values.frombytes(data[:len(data) // 8 * 8])
    return [v / 1e6 for v in values]


def wait_for_latencies(path, count):
    until = time.monotonic() + PATIENCE
    while path.stat().st_size < count * 8 if path.exists() else count > 0:
        if time.monotonic() > until:
            raise Failed(f"{len(latencies_ms(path))} of {count} messages were handled")
        time.sleep(0.02)
    return latencies_ms(path)


def sender(bench, contestant, at_once=None, **options):
    """bench_sender, ready: one message a transaction, or so many in an array."""
    if hasattr(contestant, "sender"):
        return contestant.sender(**options)
    sql = contestant.send_array_sql() if at_once else contestant.send_sql()
    argv = [str(bench.program("bench_sender")), "--sql", sql]
    for name, value in (options | ({"array": at_once} if at_once else {})).items():
        argv += [f"--{name}", str(value)]
    env = bench.server.env("bench") | {"PGAPPNAME": "bench sender"}
    talker = Talker(argv, bench.scratch("sender.log"), env=env)
    talker.expect("ready")
    return talker


def sustained_rate(bench, contestant, psql, parameters):
    """What it can do at most, by a drain of a second or more."""
    jobs = parameters["calibrate"]
    workers = contestant.start("bench", parameters["children"], parameters["batch"])
    try:
        seconds, _ = drain(bench, contestant, psql, workers, jobs, bench.payload(100))
        if seconds < 1:
            jobs = enough(jobs, seconds, 1)
            seconds, _ = drain(bench, contestant, psql, workers, jobs, bench.payload(100))
    finally:
        workers.stop()
    return jobs / seconds


def measure(bench, contestant, parameters):
    file = bench.scratch("latencies")
    file.unlink(missing_ok=True)
    with bench.database(contestant) as psql:
        if hasattr(contestant, "prepare"):
            contestant.prepare(psql)
        rate, until = parameters["idle_rate"], {"count": parameters["count"]}
        if parameters["load"] > 0 and not hasattr(contestant, "prepare"):
            rate = parameters["load"] * sustained_rate(bench, contestant, psql, parameters)
            until = {"seconds": parameters["seconds"]}
        workers = contestant.start("bench", parameters["children"], parameters["batch"], file)
        try:
            talker = sender(bench, contestant, rate=rate, senders=parameters["senders"], **until)
            try:
                talker.say()
                patience = PATIENCE + until.get("seconds", 0) + until.get("count", 0) / rate
                sends = json.loads(talker.expect("{", patience))
            finally:
                talker.stop()
            found = wait_for_latencies(file, sends["sent"])
        finally:
            workers.stop()
    # The senders may be slower than they should.
    rate = sends["sent"] / sends["seconds"]
    return {None: stats.latency(found) | {"rate": rate}}, {"latencies": {None: found}}

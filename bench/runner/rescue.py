"""A worker is killed with SIGKILL while it runs a message: how long until the message runs again.

The handler holds the first run of a message for ever and writes down when each run began. For the
floor, which has nothing to rescue, it is what a wake-up takes: the least that any news of a death
could cost."""
import array
import os
import signal
import time

from . import stats, wake
from .processes import Failed

METRICS = {
    "p50": ("half run again within", "ms", "lower"),
    "worst": ("worst", "ms", "lower"),
}


def starts(path, count):
    """The first `count` starts that handlers wrote down, ns."""
    until = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < count * 8:
        if time.monotonic() > until:
            raise Failed(f"no run {count} of a message within a minute")
        time.sleep(0.0005)
    values = array.array("q")
    values.frombytes(path.read_bytes()[:count * 8])
    return values


def one_rescue(psql, fleet, file, number):
    psql("select pgforeman.send('bench', '{\"hold\": true}')")
    starts(file, 2 * number + 1)
    # The handler may be quicker than the slot that says so.
    busy = []
    until = time.monotonic() + 10
    while not busy and time.monotonic() < until:
        busy = [s["pid"] for s in fleet.slots() if s["phase"] == "running"]
    if len(busy) != 1:
        raise Failed(f"{len(busy)} consumers run a message")
    killed = time.monotonic_ns()
    os.kill(busy[0], signal.SIGKILL)
    return (starts(file, 2 * number + 2)[-1] - killed) / 1e6


def measure(bench, contestant, parameters):
    if contestant.options["kind"] == "floor":
        found, _ = wake.measure(bench, contestant, parameters | {"load": 0, "batch": 1, "senders": 1,
                                                                 "count": parameters["trials"]})
        return {None: {name: found[None][name] for name in METRICS}}, {}
    file = bench.scratch("starts")
    file.unlink(missing_ok=True)
    with bench.database(contestant) as psql:
        fleet = contestant.start("bench", parameters["children"], 1, handler=f"--starts {file}")
        try:
            took = [one_rescue(psql, fleet, file, n) for n in range(parameters["trials"])]
        finally:
            fleet.stop()
    found = {"p50": stats.percentile(took, 0.5), "worst": max(took)}
    return {None: found}, {"latencies": {None: took}}

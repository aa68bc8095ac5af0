"""A worker is killed with SIGKILL while it runs a message: how long until the message runs again.

The handler holds the first run of a message for ever and writes down when each run began. For the
floor, which has nothing to rescue, it is what a wake-up takes: the least that any news of a death
could cost."""
import array
import os
import random
import signal
import time

from . import stats, wake
from .processes import Failed
from .toolchain import Peer

METRICS = {
    "p50": ("half run again within", "ms", "lower"),
    "worst": ("worst", "ms", "lower"),
}
PATIENCE = 180  # with a peer


def starts(path, count, patience=60):
    """The first `count` starts that handlers wrote down, ns."""
    until = time.monotonic() + patience
    while not path.exists() or path.stat().st_size < count * 8:
        if time.monotonic() > until:
            raise Failed(f"no run {count} of a message within {patience} s")
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


def one_rescue_of_a_peer(contestant, psql, workers, file, number):
    """The held run wrote its process down."""
    contestant.send(psql, f'{{"hold": {number + 1}}}')
    starts(file, 2 * number + 1)
    busy = int(file.with_name(f"{file.name}.{number + 1}").read_text())
    # Peers look for what is stale from time to time, so that a trial right after another would
    # always wait for as long.
    time.sleep(random.uniform(0, contestant.options.get("looks_every", 0)))
    killed = time.monotonic_ns()
    os.kill(busy, signal.SIGKILL)
    took = (starts(file, 2 * number + 2, PATIENCE)[-1] - killed) / 1e6
    workers.renew(busy)
    return took


def measure(bench, contestant, parameters):
    if contestant.options["kind"] == "floor":
        found, _ = wake.measure(bench, contestant, parameters | {"load": 0, "batch": 1, "senders": 1,
                                                                 "count": parameters["trials"]})
        return {None: {name: found[None][name] for name in METRICS}}, {}
    file = bench.scratch("starts")
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    trials = min(parameters["trials"], contestant.options.get("trials", parameters["trials"]))
    with bench.database(contestant) as psql:
        fleet = contestant.start("bench", parameters["children"], 1, handler=f"--starts {file}")
        try:
            if isinstance(contestant, Peer):
                took = [one_rescue_of_a_peer(contestant, psql, fleet, file, n) for n in range(trials)]
            else:
                took = [one_rescue(psql, fleet, file, n) for n in range(trials)]
        finally:
            fleet.stop()
    found = {"p50": stats.percentile(took, 0.5), "worst": max(took)}
    return {None: found}, {"latencies": {None: took}}

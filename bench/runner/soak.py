"""Hours in small: messages come and go at a steady rate; each second the fleet's throughput, memory
and descriptors and the queue's size are written down. The first part warms up; then what matters is
whether the last part looks like the second."""
import statistics
import time

from .drain import wait_until_handled
from .processes import descriptors, memory_kib, tree
from .wake import sender

METRICS = {
    "rate": ("done a second", "1/s", "higher"),
    "backlog": ("waiting at most", "messages", "lower"),
    "memory": ("own memory of the fleet (USS)", "MiB", "lower"),
    "descriptors": ("descriptors of the fleet", "", "lower"),
    "table": ("size of the queue's table", "MiB", "lower"),
    "indexes": ("size of its indexes", "MiB", "lower"),
}
PARTS = ("second part", "last part")
BATCH = 20
# Before it begins: each consumer has claimed whole batches then, as after any stall of the machine,
# and its buffers have their size.
BURST = 20_000


class BatchSender:
    """bench_sender, with a batch a transaction: one sender's machine is not what is measured."""

    def __init__(self, contestant):
        self.contestant = contestant

    def send_sql(self):
        return ("select count(*) from pgforeman.send_batch('bench', "
                f"array_fill($1::jsonb, array[{BATCH}]))")


def sample(fleet, psql, begin, before, sent_rate):
    pids = tree(fleet.process.pid)
    table, indexes = psql("select pg_table_size('pgforeman.message'), "
                          "pg_indexes_size('pgforeman.message')")[0]
    at, done = time.monotonic() - begin, fleet.handled() - BURST
    memory = sum(memory_kib(pid)[1] for pid in pids) / 1024
    row = {"t": at, "done": done, "memory": memory, "descriptors": sum(descriptors(p) for p in pids),
           "table": int(table) / 2**20, "indexes": int(indexes) / 2**20,
           "backlog": max(0.0, sent_rate * at - done)}
    row["rate"] = (done - before["done"]) / (at - before["t"]) if before else 0.0
    return row


def part(rows, low, high):
    chosen = [r for r in rows if low <= r["t"] < high]
    found = {name: statistics.median(r[name] for r in chosen) for name in METRICS}
    found["rate"] = (chosen[-1]["done"] - chosen[0]["done"]) / (chosen[-1]["t"] - chosen[0]["t"])
    found["backlog"] = max(r["backlog"] for r in chosen)
    return found


def measure(bench, contestant, parameters):
    seconds, rate = parameters["seconds"], parameters["rate"]
    rows = []
    with bench.database(contestant) as psql:
        fleet = contestant.start("bench", parameters["children"], parameters["batch"])
        try:
            talker = sender(bench, BatchSender(contestant), senders=parameters["senders"],
                            rate=rate / BATCH, seconds=seconds)
            try:
                psql("select count(*) from pgforeman.send_batch('bench', array("
                     f"select to_jsonb(repeat('x', 100)) from generate_series(1, {BURST})))")
                wait_until_handled(fleet, BURST)
                begin = time.monotonic()
                talker.say()
                while (now := time.monotonic() - begin) < seconds:
                    rows.append(sample(fleet, psql, begin, rows[-1] if rows else None, rate))
                    time.sleep(max(0.0, 1 - (time.monotonic() - begin - now)))
                talker.expect("{")
            finally:
                talker.stop()
        finally:
            fleet.stop()
    width = seconds / parameters["parts"]
    series = {name: {contestant.label: [(r["t"], r[name]) for r in rows[1:]]}
              for name in ("rate", "memory", "descriptors", "table")}
    return {PARTS[0]: part(rows, width, 2 * width), PARTS[1]: part(rows, seconds - width, seconds)}, \
        {"series": series}

"""What workers hold once they have worked: their own memory (USS), which no other process shares,
after a drain."""
import statistics

from .drain import drain
from .idle import worker_pids
from .processes import memory_kib, tree

METRICS = {
    "child_uss": ("own memory of a process that runs messages, median", "MiB", "lower"),
    "all_uss": ("own memory of all processes", "MiB", "lower"),
    "processes": ("processes", "number", "info"),
}


def measure(bench, contestant, parameters):
    with bench.database(contestant) as psql:
        workers = contestant.start("bench", parameters["children"], parameters["batch"])
        try:
            drain(bench, contestant, psql, workers, parameters["jobs"], bench.payload(100))
            every = [pid for root in workers.pids() for pid in tree(root)]
            uss = {pid: memory_kib(pid)[1] for pid in every}
            children = [uss[pid] for pid in worker_pids(contestant, workers)]
        finally:
            workers.stop()
    return {None: {"child_uss": statistics.median(children) / 1024,
                   "all_uss": sum(uss.values()) / 1024, "processes": len(uss)}}, {}

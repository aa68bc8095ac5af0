"""What workers cost that have nothing to do: statements and CPU of the server, CPU and memory of
their own."""
import statistics
import time

from .processes import cpu_seconds, memory_kib, tree

METRICS = {
    "statements": ("transactions (Redis: commands) a second at the server", "1/s", "lower"),
    "worker_cpu": ("CPU of the workers", "% of a core", "lower"),
    "server_cpu": ("CPU of the server", "% of a core", "lower"),
    "child_uss": ("own memory of a worker process (USS), median", "MiB", "lower"),
    "all_uss": ("own memory of all worker processes", "MiB", "lower"),
}


def measure(bench, contestant, parameters):
    with bench.database(contestant) as psql:
        psql("select 1")
        workers = contestant.start("bench", parameters["children"], parameters["batch"])
        try:
            time.sleep(parameters["settle_seconds"])  # idle sessions report their starts 10 s late
            before = contestant.statements(), bench.server.cpu_seconds(), cpus_of(workers)
            begin = time.monotonic()
            time.sleep(parameters["seconds"])
            seconds = time.monotonic() - begin
            after = contestant.statements(), bench.server.cpu_seconds(), cpus_of(workers)
            uss = [memory_kib(pid)[1] for pid in worker_pids(contestant, workers)]
        finally:
            workers.stop()
    rates = [(b - a) / seconds for a, b in zip(before, after)]
    return {None: {"statements": rates[0], "server_cpu": rates[1] * 100, "worker_cpu": rates[2] * 100,
                   "child_uss": statistics.median(uss) / 1024, "all_uss": sum(uss) / 1024}}, {}


def cpus_of(workers):
    return sum(cpu_seconds(pid) for pid in workers.pids())


def worker_pids(contestant, workers):
    """The processes that may grow in number: consumers of a fleet, a pool's children, else all of
    a peer's."""
    if hasattr(workers, "slots"):
        return [slot["pid"] for slot in workers.slots()]
    if hasattr(workers, "children"):
        return workers.children()
    return [pid for root in workers.pids() for pid in tree(root)]

"""A server that is further away: between it and the workers a program hands on late what both say
(delay.cpp), half of the round trip in each direction. The kernel could do it for a network of its
own (`tc netem`), but not every kernel has that, and none lets any user."""
import contextlib
import statistics
import time

from .processes import Talker
from .server import Psql


@contextlib.contextmanager
def away(bench, milliseconds):
    """Meanwhile new sessions have so long a round trip; None: they reach the server as ever. Yields
    the figures of it."""
    if milliseconds is None:
        yield {}
        return
    server = bench.server
    talker = Talker([str(bench.program("bench_delay")), "--one-way-us", str(milliseconds * 500),
                     "--socket", str(server.folder / f".s.PGSQL.{server.env()['PGPORT']}")],
                    bench.scratch("delay.log"))
    try:
        port = talker.expect("ready").split()[1]
        server.reached_by = {"PGHOST": "127.0.0.1", "PGPORT": port}
        yield {"round_trip": round_trip_ms(server)}
    finally:
        server.reached_by = {}
        talker.stop()


def round_trip_ms(server):
    """As a session sees it: what it takes to be told 1."""
    psql = Psql(server, "postgres")
    try:
        took = []
        for _ in range(20):
            begin = time.monotonic()
            psql("select 1")
            took.append((time.monotonic() - begin) * 1000)
        return statistics.median(took)
    finally:
        psql.close()

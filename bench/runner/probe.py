"""How long a probe waits for its answer, while the fleet idles and while all children are busy."""
import http.client
import time

from . import stats

METRICS = {
    "p50": ("half answered within", "ms", "lower"),
    "p99": ("99 % answered within", "ms", "lower"),
    "worst": ("worst", "ms", "lower"),
}


def probe(port, path, count, pause):
    took = []
    for _ in range(count):
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()
        took.append((time.monotonic() - begin) * 1000)
        time.sleep(pause)
    return took


def measure(bench, contestant, parameters):
    """Both states with one fleet, so that they differ in nothing but the load."""
    paths = ["/livez", "/metrics"]
    points, pooled = {}, {}
    with bench.database(contestant) as psql:
        fleet = contestant.start("bench", parameters["children"], parameters["batch"])
        try:
            for state in ("idle", "busy"):
                if state == "busy":
                    contestant.fill(psql, parameters["jobs"], bench.payload(100)).commit()
                for path in paths:
                    where = f"{path}, {state}"
                    took = probe(fleet.port, path, parameters["probes"], parameters["pause"])
                    found = stats.latency(took)
                    points[where] = {name: found[name] for name in METRICS}
                    pooled[where] = took
        finally:
            fleet.stop()
    return points, {"latencies": pooled}

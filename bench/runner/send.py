"""What a send costs the server beside a bare INSERT of the same row: one session, a loop within the
server, one transaction, so that neither a client nor a commit is part of it."""

METRICS = {"server_cpu": ("CPU of the server a send", "µs", "lower")}
WARM_UP = 1000


def measure(bench, contestant, parameters):
    payload, count = bench.payload(parameters["payload"]), parameters["count"]
    with bench.database(contestant) as psql:
        psql(contestant.send_loop(psql, WARM_UP, payload))
        bench.server.admin("checkpoint")
        before = bench.server.cpu_seconds()
        psql(contestant.send_loop(psql, count, payload))
        cpu = bench.server.cpu_seconds() - before
    return {None: {"server_cpu": cpu / count * 1e6}}, {}

"""What messages of a size cost on their way: sent one a transaction by one client, claimed, and
drained as in drain.py. The sends and the claims are measured by themselves, in databases of their
own, by the server's CPU: of claims there are those of our own SQL function alone, 100 at once by one
session, which also turns the rows into text and reads them."""
import json

from . import drain
from .wake import sender

METRICS = drain.METRICS | {
    "send_cpu": ("CPU of the server a send", "µs", "lower"),
    "claim_cpu": ("CPU of the server a claimed message", "µs", "lower"),
}
AT_ONCE = 100


def send_cpu(bench, contestant, parameters):
    with bench.database(contestant, parameters.get("durable", True)):
        talker = sender(bench, contestant, senders=1, seconds=parameters["send_seconds"],
                        bytes=parameters["payload"])
        try:
            before = bench.server.cpu_seconds()
            talker.say()
            sent = json.loads(talker.expect("{"))["sent"]
            return (bench.server.cpu_seconds() - before) / sent * 1e6
        finally:
            talker.stop()


def claim_cpu(bench, contestant, parameters):
    with bench.database(contestant, parameters.get("durable", True)) as psql:
        jobs = max(AT_ONCE, parameters["jobs"] // 4 // AT_ONCE * AT_ONCE)
        contestant.fill(psql, jobs, bench.payload(parameters["payload"])).commit()
        bench.server.admin("checkpoint")
        psql("\\o /dev/null")
        before = bench.server.cpu_seconds()
        for _ in range(jobs // AT_ONCE):
            psql(contestant.claim_sql(AT_ONCE))
        cpu = bench.server.cpu_seconds() - before
        psql("\\o")
        return cpu / jobs * 1e6


def measure(bench, contestant, parameters):
    found, more = drain.measure(bench, contestant, parameters)
    if contestant.options.get("sends", True):
        found[None]["send_cpu"] = send_cpu(bench, contestant, parameters)
    if hasattr(contestant, "claim_sql") and contestant.options.get("sends", True):
        found[None]["claim_cpu"] = claim_cpu(bench, contestant, parameters)
    return found, more

"""What a client can send, each way as such clients do it: one message a transaction, 1,000 in one
call, a file with a message a line; beside INSERTs and COPY of the same rows into an equal table
with its indexes. Nothing works on the queue meanwhile."""
import json
import resource
import subprocess
import time

from .processes import Failed, tail
from .wake import sender

METRICS = {
    "rate": ("sent a second", "1/s", "higher"),
    "server_cpu": ("CPU of the server a message", "µs", "lower"),
    "client_cpu": ("CPU of the client a message", "µs", "lower"),
}


def by_file(bench, contestant, parameters):
    """Messages and seconds; the start of the program counts, as it does for its users."""
    payload, count = bench.payload(parameters["payload"]), parameters["count"]
    path, log = bench.scratch("lines"), bench.scratch("send_file.log")
    path.write_text(f"{payload.text}\n" * count)
    argv = [str(word) for word in contestant.send_file()]
    with open(path, "rb") as lines, open(log, "wb") as out:
        begin = time.monotonic()
        run = subprocess.run(argv, stdin=lines, stdout=out, stderr=out,
                             env=bench.server.env("bench"), check=False)
        seconds = time.monotonic() - begin
    if run.returncode != 0:
        raise Failed(f"{contestant.name} cannot send a file: {tail(log)}")
    return count, seconds


def by_sender(bench, contestant, parameters):
    array = parameters["array"]
    talker = sender(bench, contestant, array, senders=1, seconds=parameters["seconds"],
                    bytes=parameters["payload"])
    try:
        talker.say()
        told = json.loads(talker.expect("{", parameters["seconds"] + 60))
    finally:
        talker.stop()
    return told["sent"], told["seconds"]


def clients_cpu():
    """Of all that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(bench, contestant, parameters):
    with bench.database(contestant) as psql:
        if hasattr(contestant, "prepare"):
            contestant.prepare(psql)
        bench.server.admin("checkpoint")
        before = bench.server.cpu_seconds(), clients_cpu()
        way = by_file if parameters.get("file") else by_sender
        sent, seconds = way(bench, contestant, parameters)
        cpu = bench.server.cpu_seconds() - before[0], clients_cpu() - before[1]
        there = int(psql.value(f"select count(*) from {contestant.sends_into}"))
        if there != sent:
            raise Failed(f"{contestant.name} sent {sent} messages, but there are {there}")
    return {None: {"rate": sent / seconds, "server_cpu": cpu[0] / sent * 1e6,
                   "client_cpu": cpu[1] / sent * 1e6}}, {}

"""Sends Celery's messages as bench_sender sends to PostgreSQL: python3 -m runner.redis_sender SOCKET
FILE RATE COUNT SECONDS, of which one is 0. FILE has a message that Celery's own client made; each is a copy with a payload that
has the monotonic nanoseconds at which its send began. Says "ready", begins at a line on stdin, and
ends with a line of JSON."""
import json
import pathlib
import sys
import time

from .messages import Message
from .redis import Client


def main(path, file, rate, count, seconds):
    client, message = Client(path), Message(pathlib.Path(file).read_bytes())
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic_ns()
    sent = 0
    while sent < count or time.monotonic_ns() - begin < seconds * 1e9:
        due = begin + int(sent * 1e9 / rate)
        if (now := time.monotonic_ns()) < due:
            time.sleep((due - now) / 1e9)
        client("LPUSH", message.queue, message.copy({"t": time.monotonic_ns(), "pad": ""}))
        sent += 1
    took = (time.monotonic_ns() - begin) / 1e9
    print(json.dumps({"sent": sent, "seconds": took, "failed": 0}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))

"""Sends Celery's messages as bench_sender sends to PostgreSQL: python3 -m runner.redis_sender SOCKET
FILE COUNT RATE. FILE has a message that Celery's own client made; each is a copy with a payload that
has the monotonic nanoseconds at which its send began. Says "ready", begins at a line on stdin, and
ends with a line of JSON."""
import json
import pathlib
import sys
import time

from .messages import Message
from .redis import Client


def main(path, file, count, rate):
    client, message = Client(path), Message(pathlib.Path(file).read_bytes())
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic_ns()
    for number in range(count):
        due = begin + int(number * 1e9 / rate)
        if (now := time.monotonic_ns()) < due:
            time.sleep((due - now) / 1e9)
        client("LPUSH", message.queue, message.copy({"t": time.monotonic_ns(), "pad": ""}))
    seconds = (time.monotonic_ns() - begin) / 1e9
    print(json.dumps({"sent": count, "seconds": seconds, "failed": 0}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))

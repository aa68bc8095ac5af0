"""What the handlers of the Python peers do with a payload, and how their workers count. See talk.mjs."""
import os
import struct
import time


def open_for(variable):
    name = os.environ.get(variable)
    return os.open(name, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666) if name else None


LATENCIES = open_for("BENCH_LATENCIES")
STARTS = open_for("BENCH_STARTS")


def number(variable, otherwise):
    return float(os.environ.get(variable, otherwise))


def note(payload):
    """Writes down the age of a payload or when its run began, where asked. Whether to hold this run
    for ever: the first one of a message that says so. The file beside has the process that holds."""
    if LATENCIES is not None and payload.get("t"):
        os.write(LATENCIES, struct.pack("<q", time.monotonic_ns() - payload["t"]))
    held = payload.get("hold")
    if STARTS is None or not held:
        return False
    first = take(f"{os.environ['BENCH_STARTS']}.{held}")
    os.write(STARTS, struct.pack("<q", time.monotonic_ns()))
    return first


def take(name):
    try:
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    os.write(file, str(os.getpid()).encode())
    os.close(file)
    return True

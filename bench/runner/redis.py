"""A private, throw-away Redis for the peers that keep their queue there: in the benchmark's folder,
on a unix socket there and nowhere else. And as much of its protocol as the runner needs."""
import contextlib
import shutil
import socket
import subprocess
import time

from .processes import Failed, start, stop, tail

PROGRAM = "redis-server"


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.replies = self.socket.makefile("rb")

    def __call__(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        """The replies to all, sent at once."""
        self.socket.sendall(b"".join(map(request, commands)))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.replies.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        raise Failed(f"Redis said: {line.decode(errors='replace')}")

    def commands(self):
        """How many it has done since it was started."""
        info = dict(line.split(":", 1) for line in self("INFO", "stats").decode().splitlines()
                    if ":" in line)
        return int(info["total_commands_processed"])

    def close(self):
        self.replies.close()
        self.socket.close()


def request(words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def version():
    """None where it is not installed."""
    if not shutil.which(PROGRAM):
        return None
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout
    return next((word[2:] for word in said.split() if word.startswith("v=")), "unknown")


@contextlib.contextmanager
def running(folder, appends):
    """A fresh server and a client of it. `appends` is its appendfsync: "always" when a send and an
    acknowledgement shall survive the machine, as a commit does; None to keep all in memory."""
    folder.mkdir()
    path, log = folder / "socket", folder / "log"
    options = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
               "--appendonly", "yes" if appends else "no", "--appendfsync", appends or "no"]
    with open(log, "wb") as out:
        process = start([PROGRAM, *options], stdout=out, stderr=out)
    client = None
    try:
        until = time.monotonic() + 30
        while client is None:
            try:
                client = Client(path)
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise Failed(f"Redis did not start: {tail(log)}") from None
                time.sleep(0.02)
        client("PING")
        yield process, path, client
    finally:
        if client:
            client.close()
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)

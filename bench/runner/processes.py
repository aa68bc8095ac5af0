"""Child processes that end with the runner, however that ends, and what /proc says of them."""
import os
import pathlib
import select
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """The benchmark cannot go on; the text says why."""


def server_user():
    """PostgreSQL refuses to run as root: then it runs as this user."""
    return "postgres" if os.geteuid() == 0 else None


def start(argv, user=None, death_signal="KILL", **options):
    """A Popen in a session of its own (Ctrl-C is for the runner, who ends things in order). Should
    the runner be killed outright, the kernel sends `death_signal`."""
    wrap = ["setpriv"]
    if user:
        wrap += ["--reuid", user, "--regid", user, "--init-groups"]
    wrap += ["--pdeathsig", death_signal, "--"]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(wrap + [str(a) for a in argv], start_new_session=True, **options)


def stop(process, how=signal.SIGTERM, patience=30):
    """Ends it by a signal, by KILL when it does not listen. Its exit code."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
    return process.returncode


class Talker:
    """A program that is talked to by lines on its stdin and stdout."""

    def __init__(self, argv, log, env=None):
        self.name = pathlib.Path(argv[0]).name
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as errors:
            self.process = start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                 env=env)
        self.buffer = b""

    def read_line(self, patience):
        """The next line; None when the time is over. Fails when the program ended."""
        until = time.monotonic() + patience
        out = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                return None
            chunk = os.read(out, 65536)
            if not chunk:
                raise Failed(f"{self.name} ended: {tail(self.log)}")
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def expect(self, word, patience=60):
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            line = self.read_line(left)
            if line is not None and line.startswith(word):
                return line
        raise Failed(f"{self.name} did not say {word} within {patience} s: {tail(self.log)}")

    def say(self, line="go"):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line="count"):
        self.say(line)
        answer = self.read_line(30)
        if answer is None:
            raise Failed(f"{self.name} does not answer")
        return answer

    def stop(self):
        return stop(self.process)


def tail(path, lines=8):
    path = pathlib.Path(path)
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(text.splitlines()[-lines:]) or "(it said nothing)"


def tree(pid):
    """The process and all its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def cpu_seconds(pid):
    """What a process and its descendants ran, the reaped ones too. Those alive count by the
    nanosecond: in ticks of 10 ms a fleet that wakes seldom would seem to cost nothing."""
    total = 0.0
    for each in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        own = run_seconds(each)
        if own is None:
            own = (int(fields[11]) + int(fields[12])) / TICKS
        total += own + (int(fields[13]) + int(fields[14])) / TICKS
    return total


def run_seconds(pid):
    """What the threads of this process alone ran; None if it ended just now, or the kernel does not
    keep it."""
    try:
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in
                   pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9
    except OSError:
        return None


def memory_kib(pid):
    """Resident and unique (USS) memory of one process."""
    sizes = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split()[:2]
        sizes[name.rstrip(":")] = int(size)
    return sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))

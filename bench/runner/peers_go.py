"""River, a queue for Go: a program of our own with its library, whose modules go.sum pins."""
import hashlib
import re
import shutil
import subprocess

from .contestants import QUEUE
from .toolchain import SOURCES, Peer, Toolchain

SOURCE = SOURCES / "river"


class Go(Toolchain):
    """Builds the program once for each state of its source and each compiler."""

    def __init__(self, say):
        super().__init__(say, "go")
        self.program = None

    def go(self, *words, patience):
        """Its output; None and a `problem` when it fails."""
        try:
            ran = subprocess.run(["go", *words], cwd=SOURCE, capture_output=True, text=True,
                                 timeout=patience)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.problem = f"go {words[0]}: {error}"
            return None
        if ran.returncode != 0:
            self.problem = f"go {words[0]} for River: {last_line(ran.stderr)}"
            return None
        return ran.stdout.strip()

    def install(self):
        if not shutil.which("go"):
            self.problem = "go is not installed, and Debian's may be too old for River"
            return
        version = self.go("env", "GOVERSION", patience=300)  # it may fetch the one of go.mod
        if version is None:
            return
        digest = hashlib.sha256(version.encode())
        for file in sorted(SOURCE.iterdir()):
            digest.update(file.read_bytes())
        self.program = self.folder / f"river-{digest.hexdigest()[:16]}"
        if not self.program.exists() and not self.build():
            return
        pinned = re.search(r"riverqueue/river v(\S+)", (SOURCE / "go.mod").read_text())
        self.versions = {"river": pinned[1], "go": version.removeprefix("go")}

    def build(self):
        self.say("  building bench/peers/river")
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.program.with_suffix(".new")
        if self.go("build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(new), ".",
                   patience=900) is None:
            return False
        new.rename(self.program)
        return True


def last_line(text):
    return (text.strip().splitlines() or ["(it said nothing)"])[-1]


class River(Peer):
    """Inserts are the row and the notification that its client's InsertManyFast makes of a job."""
    toolchain = "go"
    table = "river_job"

    def argv(self, *words):
        return [str(self.tools.program), *[str(w) for w in words]]

    def fill_sql(self, count, delayed):
        state, at = ("scheduled", "now() + interval '1 hour'") if delayed else ("available", "now()")
        return ("insert into river_job (args, kind, max_attempts, queue, state, scheduled_at) "
                f"select p, '{QUEUE}', 25, '{QUEUE}', '{state}', {at} "
                f"from bench_payload, generate_series(1, {count}); {self.notify_sql()}")

    def notify_sql(self):
        return ("select pg_notify(current_schema() || '.river_insert', "
                f"'{{\"queue\": \"{QUEUE}\"}}')")

    def send_sql(self):
        return ("with sent as (insert into river_job (args, kind, max_attempts, queue) values "
                f"($1::jsonb, '{QUEUE}', 25, '{QUEUE}') returning id) {self.notify_sql()} from sent")

    def newest(self, psql):
        return 0

    def is_left(self, psql, newest):
        """What is done stays for a day, as "completed"."""
        return psql.value("select exists (select 1 from river_job where state in ('available', "
                          "'running', 'retryable'))") == "t"

    def start(self, database, children, batch, latencies=None):
        env = self.environment(database, self.options["concurrency"], batch, latencies)
        env["BENCH_COOLDOWN_MS"] = str(self.options["cooldown_ms"])
        env["BENCH_POLL_MS"] = str(self.options["poll_ms"])
        env["BENCH_RESCUE_MS"] = str(self.options.get("rescue_ms", 0))
        return self.workers(env)

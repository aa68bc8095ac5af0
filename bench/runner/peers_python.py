"""The peers from Python: pgqueuer, whose queue is in PostgreSQL, and Celery with Redis."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys

from . import redis
from .contestants import QUEUE, Workers, cpus
from .messages import Message
from .processes import Failed, Talker, stop, tree
from .toolchain import SOURCES, Peer, Toolchain

SOURCE = SOURCES / "python"
REQUIREMENTS = SOURCE / "requirements.txt"
PUSH_CHUNK = 1000


class Python(Toolchain):
    """One virtual environment for each list of requirements and each Python."""

    def __init__(self, say):
        super().__init__(say, "python")
        key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
        self.folder /= key

    def install(self):
        done = self.folder / "installed"
        if not done.exists():
            self.say("  installing bench/peers/python/requirements.txt")
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            pip = [self.program("python"), "-m", "pip", "install", "--quiet", "--no-deps",
                   "--disable-pip-version-check", "--only-binary", ":all:", "-r", REQUIREMENTS]
            if not self.run("a virtual environment", [sys.executable, "-m", "venv", self.folder]):
                return
            if not self.run("the packages with pip", pip):
                return
            done.touch()
        pinned = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines()
                      if "==" in line and ";" not in line)
        self.versions = {name: pinned[name] for name in ("celery", "pgqueuer")}
        self.versions |= {"python": sys.version.split()[0], "redis-server": redis.version()}

    def run(self, what, argv):
        try:
            ran = subprocess.run(argv, capture_output=True, text=True, timeout=600)
            problem = (ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:]
        except (OSError, subprocess.TimeoutExpired) as error:
            ran, problem = None, [str(error)]
        if ran is None or ran.returncode != 0:
            self.problem = f"Python cannot install {what}: {' '.join(problem)}"
        return self.problem is None

    def program(self, name):
        return self.folder / "bin" / name

    def why_not(self, kind):
        if self.problem is None and kind == "celery" and not redis.version():
            return f"{redis.PROGRAM} is not installed"
        return self.problem


class PgQueuer(Peer):
    toolchain = "python"
    table = "pgqueuer"

    def argv(self, *words):
        return [str(w) for w in (self.tools.program("python"), SOURCE / "pgqueuer_worker.py", *words)]

    def fill_sql(self, count, delayed):
        """The rows that its enqueue() makes of so many jobs."""
        after = "now() + interval '1 hour'" if delayed else "now()"
        return (f"with sent as (insert into pgqueuer (priority, entrypoint, payload, execute_after, "
                f"status) select 0, '{QUEUE}', p, {after}, 'queued' from bench_payload, "
                f"generate_series(1, {count}) returning id, entrypoint, priority) {self.log_sql()}")

    def log_sql(self):
        return ("insert into pgqueuer_log (job_id, status, entrypoint, priority) "
                "select id, 'queued', entrypoint, priority from sent")

    def payload_type(self, psql):
        return "bytea"

    def send_sql(self):
        return ("with sent as (insert into pgqueuer (priority, entrypoint, payload, status) values "
                f"(0, '{QUEUE}', convert_to($1, 'UTF8'), 'queued') returning id, entrypoint, "
                f"priority) {self.log_sql()}")

    def start(self, database, children, batch, latencies=None):
        env = self.environment(database, self.options["managers"], self.options.get("batch", batch),
                               latencies)
        for name in ("poll_s", "heartbeat_s"):
            if name in self.options:
                env[f"BENCH_{name.upper()}"] = str(self.options[name])
        return self.workers(env)


class CeleryTalker(Talker):
    """Celery's own command, which says only that it is ready."""

    def stop(self):
        return stop(self.process, signal.SIGQUIT, patience=5)


class CeleryWorkers(Workers):
    def __init__(self, talkers, counts):
        self.counts = counts
        super().__init__(talkers)

    def handled(self):
        """Each child counts in a file of its own."""
        return sum(struct.unpack("<q", file.read_bytes().ljust(8, b"\0"))[0]
                   for file in self.counts.iterdir())

    def renew(self, pid):
        """The pool has a new child by itself."""

    def children(self):
        return [pid for root in self.pids() for pid in tree(root)[1:]]


class StagedFiller:
    """Messages under another name: giving them theirs is the starting gun, as a commit is."""

    def __init__(self, client, queue):
        self.client, self.queue = client, queue

    def commit(self):
        self.client("RENAME", "bench_staged", self.queue)


class Celery(Peer):
    """Its queue is a list in a Redis of its own: the database stays empty."""
    toolchain = "python"

    def install(self, database):
        pass

    @contextlib.contextmanager
    def surroundings(self, durable):
        appends = self.options.get("appends") and ("always" if durable else "everysec")
        with redis.running(self.bench.scratch("redis"), appends) as (process, path, client):
            self.path, self.redis = path, client
            self.bench.server.beside.append(process.pid)
            try:
                self.sample = self.bench.scratch("celery_message")
                self.sample.write_bytes(self.made_by_celery())
                self.message = Message(self.sample.read_bytes())
                yield
            finally:
                self.bench.server.beside.remove(process.pid)

    def environment(self, database, concurrency, batch, latencies):
        env = super().environment(database, concurrency, batch, latencies)
        env["BENCH_REDIS"] = str(self.path)
        for name in ("late", "prefetch", "lost_wait_s"):
            if name in self.options:
                env[f"BENCH_{name.upper()}"] = str(self.options[name])
        return env

    def made_by_celery(self):
        log = self.bench.scratch("celery_send.log")
        with open(log, "wb") as out:
            ran = subprocess.run([self.tools.program("python"), SOURCE / "celery_app.py"], stdout=out,
                                 stderr=out, env=self.environment("bench", 1, 1, None), timeout=60)
        message = self.redis("RPOP", QUEUE) if ran.returncode == 0 else None
        if not message:
            raise Failed(f"Celery cannot send: {log.read_text()[-500:]}")
        return message

    def fill(self, psql, jobs, payload, delayed=False):
        value = json.loads(payload.text)
        for done in range(0, jobs, PUSH_CHUNK):
            self.redis("LPUSH", "bench_staged", *[self.message.copy(value) for _ in
                                                  range(min(PUSH_CHUNK, jobs - done))])
        return StagedFiller(self.redis, QUEUE)

    def newest(self, psql):
        return 0

    def is_left(self, psql, newest):
        """What a worker has taken is in "unacked" until it acknowledges it."""
        return any(self.redis.pipeline([("LLEN", QUEUE), ("HLEN", "unacked")]))

    def statements(self):
        return self.redis.commands()

    def send(self, psql, payload):
        self.redis("LPUSH", QUEUE, self.message.copy(json.loads(payload)))

    def sender(self, rate, senders, count=0, seconds=0):
        argv = [sys.executable, "-B", "-m", "runner.redis_sender", self.path, self.sample, rate, count,
                seconds]
        talker = Talker([str(a) for a in argv], self.bench.scratch("sender.log"),
                        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parent.parent)})
        talker.expect("ready")
        return talker

    def start(self, database, children, batch, latencies=None):
        env = self.environment(database, children, batch, latencies)
        counts = self.bench.scratch("celery_counts")
        shutil.rmtree(counts, ignore_errors=True)
        counts.mkdir()
        env |= {"BENCH_COUNTS": str(counts), "PYTHONPATH": str(SOURCE)}
        count = cpus() if self.options.get("processes") == "cpus" else 1
        concurrency = self.options.get("concurrency", children)
        return CeleryWorkers([self.worker(env, number, -(-concurrency // count))
                              for number in range(count)], counts)

    def worker(self, env, number, children):
        argv = [self.tools.program("celery"), "--quiet", "-A", "celery_app", "worker",
                "--hostname", f"bench{number}@localhost", "--concurrency", children, "-O", "fair",
                "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
        return CeleryTalker([str(a) for a in argv], self.bench.scratch("celery.log"), env=env)

"""A private, throw-away PostgreSQL: in the benchmark's folder, on a unix socket there and nowhere
else, with the settings below and no others. Databases are made from templates, so that every
measurement begins with an equal and fresh one."""
import os
import pathlib
import signal
import subprocess
import time

from .processes import Failed, cpu_seconds, server_user, start, stop, tail

# Those that matter are printed with every result. Durable: fsync and synchronous_commit stay on, as
# a user has them. The rest is what a server of this size would be given.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "400",
    # A quarter of the memory, as PostgreSQL's manual advises.
    "shared_buffers": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 4 >> 20}MB",
    "max_wal_size": "8GB",
    "min_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "track_io_timing": "off",
}
SHOWN = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_connections",
         "max_wal_size", "checkpoint_timeout", "autovacuum", "autovacuum_naptime", "jit"]


def newest_bin():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"),
                   key=lambda p: int(p.parts[4]))
    if not found:
        raise Failed("no PostgreSQL server under /usr/lib/postgresql")
    return found[-1].parent


class Psql:
    """One session, through psql: Python's own library knows no PostgreSQL."""

    MARK = "--done-7f3a--"

    def __init__(self, server, database):
        self.database = database
        argv = ["stdbuf", "-oL", server.bin / "psql", "-XqAt", "-F", "\t", "-d", database]
        self.process = start(argv, env=server.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        self("set client_min_messages = warning")

    def __call__(self, sql):
        """Runs statements; the rows as lists of texts. Raises what the server said."""
        try:
            self.process.stdin.write(f"{sql}\n;\n\\echo {self.MARK}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"psql ended before: {sql[:200]}") from None
        rows, problem = [], None
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise Failed(f"psql ended at: {sql[:200]}: {problem or rows[-3:]}")
            line = line.rstrip("\n")
            if line == self.MARK:
                break
            if line.startswith(("ERROR:", "FATAL:", "psql:")) and problem is None:
                problem = line
            rows.append(line.split("\t"))
        if problem:
            raise Failed(f"{problem} in: {sql[:200]}")
        return rows

    def value(self, sql):
        return self(sql)[0][0]

    def close(self):
        stop(self.process)


class Server:
    def __init__(self, folder, settings=None):
        self.folder = pathlib.Path(folder)
        self.bin = newest_bin()
        self.settings = SETTINGS | (settings or {})
        self.process = None
        self.admin = None
        self.beside = []  # pids of what a contestant has besides, and that counts as the server
        self.reached_by = {}  # see distance.py

    def env(self, database=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE_URL"))}
        return env | {"PGHOST": str(self.folder), "PGUSER": "postgres",
                      "PGPORT": self.settings.get("port", "5432"),
                      "PGDATABASE": database or "postgres"} | self.reached_by

    def __enter__(self):
        user = server_user()
        if user:
            subprocess.run(["chown", user, self.folder], check=True)
        data, log = self.folder / "data", self.folder / "postgres.log"
        with open(log, "wb") as out:
            made = start([self.bin / "initdb", f"--pgdata={data}", "--username=postgres",
                          "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                          "--no-instructions"], user=user, cwd=self.folder, stdout=out, stderr=out)
            if made.wait() != 0:
                raise Failed(f"initdb: {tail(log)}")
            options = [f"--{name}={value}" for name, value in self.settings.items()]
            # INT is a fast shutdown.
            self.process = start([self.bin / "postgres", "-D", data, "-c",
                                  f"unix_socket_directories={self.folder}", *options],
                                 user=user, death_signal="INT", cwd=self.folder, stdout=out,
                                 stderr=out)
        try:
            self._wait_until_ready(log)
            self.admin = Psql(self, "postgres")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_ready(self, log):
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            if subprocess.run([self.bin / "pg_isready", "-q"], env=self.env()).returncode == 0:
                return
            time.sleep(0.05)
        raise Failed(f"PostgreSQL did not start: {tail(log)}")

    def __exit__(self, *_):
        if self.admin:
            self.admin.close()
        if self.process:
            stop(self.process, signal.SIGINT)

    def fresh(self, name, template=None):
        self.drop(name)
        self.admin(f"create database {name}" + (f" template {template}" if template else ""))

    def drop(self, name):
        self.admin(f"drop database if exists {name} with (force)")

    def cpu_seconds(self):
        return sum(cpu_seconds(pid) for pid in [self.process.pid, *self.beside])

    def describe(self):
        """Version, the settings that matter, and what a commit costs here."""
        shown = {name: self.admin.value(f"show {name}") for name in SHOWN}
        self.admin("create table if not exists commit_cost (i int)")
        count = 200
        begin = time.monotonic()
        self.admin("insert into commit_cost values (1);\n" * count)
        cost = (time.monotonic() - begin) / count
        self.admin("drop table commit_cost")
        return {"version": self.admin.value("show server_version"), "settings": shown,
                "one_row_commit_us": round(cost * 1e6)}

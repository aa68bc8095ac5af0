"""Who is measured. A contestant knows how to install its schema, fill its queue, start its workers
and say what is left; everything else is the same for all. To add one: a class here (or in peers.py),
its line in KINDS, its entry in scenarios.json."""
import contextlib
import json
import os
import random
import signal
import time
import urllib.request

from .processes import Failed, Talker, start, stop, tail

QUEUE = "bench"
FILL_CHUNK = 10000
FILL_CHUNK_BYTES = 8 << 20


class Filler:
    """Messages in a transaction that is still open: committing it is the starting gun."""

    def __init__(self, psql):
        self.psql = psql

    def commit(self):
        self.psql("commit")


class Contestant:
    table = None  # where a message is a row with a growing id until it is done
    uses_server = True  # else the server's CPU tells nothing of it

    def __init__(self, bench, name, options):
        self.bench, self.name, self.options = bench, name, options
        self.label = options.get("label", name)

    @property
    def template(self):
        return (f"template_{type(self).__name__.lower()}"
                + ("_against" if "build" in self.options else ""))

    def install(self, database):
        """Its schema, into an empty database."""
        raise NotImplementedError

    def fill_sql(self, count, delayed):
        """Sends `count` copies of bench_payload's row, in an hour if delayed."""
        raise NotImplementedError

    def payload_type(self, psql):
        """Of the payloads that fill_sql sends."""
        return "jsonb"

    def program(self):
        """The daemon: of another build, where the contestant is a twin (see against.py)."""
        return self.bench.program("pgforeman", self.options.get("build"))

    def fill(self, psql, jobs, payload, delayed=False):
        psql(f"create temp table if not exists bench_payload (p {self.payload_type(psql)})")
        psql("truncate bench_payload")
        psql(f"insert into bench_payload values ($bench${payload.text}$bench$)")
        psql("begin")
        chunk = max(1, min(FILL_CHUNK, FILL_CHUNK_BYTES // len(payload.text)))
        for done in range(0, jobs, chunk):
            psql(self.fill_sql(min(chunk, jobs - done), delayed))
        # As on any queue that has been there for a minute: who relies on statistics has some.
        psql("analyze")
        return Filler(psql)

    passes_returned = False  # see drain.pass_returned

    def delete_all(self, psql):
        psql(f"delete from {self.table}")

    def newest(self, psql):
        return int(psql.value(f"select coalesce(max(id), 0) from {self.table}"))

    def is_left(self, psql, newest):
        return psql.value(f"select exists (select 1 from {self.table} where id > {newest})") == "t"

    def send_sql(self):
        """Sends $1, a payload: for bench_sender."""
        raise NotImplementedError

    def send(self, psql, payload):
        psql(self.send_sql().replace("$1", f"'{payload}'"))

    def statements(self):
        """How many the server has done, which is transactions, and a little late."""
        return int(self.bench.server.admin.value(
            "select xact_commit + xact_rollback from pg_stat_database where datname = 'bench'"))

    @contextlib.contextmanager
    def surroundings(self, durable):
        """What it needs besides its database, fresh as that."""
        yield

    def start(self, database, children, batch, latencies=None):
        """Its workers, ready and waiting: an object with handled(), pid(s), stop()."""
        raise NotImplementedError


class Workers:
    """Programs that count by themselves: see Talker."""

    def __init__(self, talkers):
        self.talkers = talkers
        try:
            for talker in talkers:
                talker.expect("ready")
        except BaseException:
            self.stop()
            raise

    def go(self):
        pass

    def handled(self):
        return sum(int(talker.ask()) for talker in self.talkers)

    def pids(self):
        return [talker.process.pid for talker in self.talkers]

    def stop(self):
        for talker in self.talkers:
            talker.stop()


class Fleet:
    """The daemon itself."""

    def __init__(self, bench, program, database, children, settings, idle=True):
        self.log = bench.scratch("fleet.log")
        env = bench.server.env(database) | {
            "PGFOREMAN_QUEUE": QUEUE, "PGFOREMAN_CONCURRENCY": str(children),
            "PGFOREMAN_HEALTH_ADDRESS": "127.0.0.1", "PGFOREMAN_HEALTH_PORT": "0",
            "PGFOREMAN_LOG_FORMAT": "json"} | settings
        self.children = children
        with open(self.log, "wb") as out:
            self.process = start([program, "run"], death_signal="TERM", env=env,
                                 stdout=out, stderr=out)
        try:
            self.port = self._wait_for(self._port)
            self._wait_for(self._is_waiting if idle else self._is_working)
        except BaseException:
            self.stop()
            raise

    def _wait_for(self, what):
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            if found := what():
                return found
            time.sleep(0.02)
        raise Failed(f"the fleet did not start: {tail(self.log)}")

    def _port(self):
        for line in self.log.read_text(errors="replace").splitlines():
            if '"health_port"' in line and "fleet starts" in line:
                return json.loads(line)["health_port"]
        return None

    def _is_waiting(self):
        slots = self.slots()
        return len(slots) == self.children and all(s["phase"] == "waiting" for s in slots)

    def _is_working(self):
        return self.handled() > 0

    def slots(self):
        return [s for s in self.status()["slots"] if s["role"] == "consumer"]

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def status(self):
        return json.loads(self.get("/status"))

    def go(self):
        pass

    def handled(self):
        return self.status()["messages"]["done"]

    def pids(self):
        return [self.process.pid]

    def stop(self):
        if stop(self.process, signal.SIGTERM) != 0:
            raise Failed(f"the fleet ended badly: {tail(self.log)}")


class Pgforeman(Contestant):
    table = sends_into = "pgforeman.message"
    passes_returned = True

    def install(self, database):
        with open(self.bench.scratch("migrate.log"), "wb") as out:
            run = start([self.program(), "migrate"], stdout=out, stderr=out,
                        env=self.bench.server.env(database))
        if run.wait() != 0:
            raise Failed("pgforeman migrate failed: " + tail(self.bench.scratch("migrate.log")))

    def fill_sql(self, count, delayed):
        delay = ", delay => '1 hour'" if delayed else ""
        return (f"select count(*) from pgforeman.send_batch('{QUEUE}', array(select p from "
                f"bench_payload, generate_series(1, {count})){delay})")

    def payload_type(self, psql):
        """As the column has it, so that nothing is converted."""
        return psql.value("select format_type(atttypid, null) from pg_attribute where attname = "
                          "'payload' and attrelid = 'pgforeman.message'::regclass")

    def send_sql(self):
        return f"select pgforeman.send('{QUEUE}', $1)"

    def send_array_sql(self):
        """Sends $1, an array of payloads."""
        return f"select pgforeman.send_batch('{QUEUE}', $1::json[])"

    def send_file(self):
        """The program that sends a file's lines, which are payloads, from its standard input."""
        return [self.program(), "send", QUEUE, "--quiet"]

    def send_loop(self, psql, count, payload):
        """Sends it so many times from within the server, one by one, in one transaction."""
        return self._loop(psql, count, payload, f"perform pgforeman.send('{QUEUE}', p)")

    def _loop(self, psql, count, payload, body):
        # As text, which is what most clients send; what had jsonb alone gets that.
        kind = "jsonb" if self.payload_type(psql) == "jsonb" else "text"
        return (f"do $do$ declare p {kind} := $bench${payload.text}$bench$; sent bigint; "
                f"begin for i in 1..{count} loop {body}; end loop; end $do$")

    def pass_returned(self, psql, count):
        """Retries so many messages once, delays as many for a moment, and handles all of them, in
        the server itself: the workers would take long to fail so often."""
        def handle(outcome, most):
            psql(f"""do $do$ declare ids bigint[]; t bigint; left_over int := {most}; begin loop
                 t := (random() * 1e15)::bigint + 1;
                 select array_agg(id) into ids
                 from pgforeman.claim('{QUEUE}', least(left_over, 10000), t, '1 hour');
                 exit when ids is null;
                 left_over := left_over - cardinality(ids);
                 perform pgforeman.settle(ids, array_fill(t, array[cardinality(ids)]),
                   array_fill('{outcome}'::text, array[cardinality(ids)]),
                   array_fill(interval '0', array[cardinality(ids)]),
                   array_fill('again'::text, array[cardinality(ids)]),
                   array_fill(null::jsonb, array[cardinality(ids)]), 9, 9, '1 s', '1 s');
                 exit when left_over = 0; end loop; end $do$""")

        send = f"select count(*) from pgforeman.send_batch('{QUEUE}', array_fill('1'::json, array[{count}])"
        if count > 0:
            psql(f"{send})")
            handle("retry", count)
            handle("done", count)
            psql(f"{send}, delay => '1 millisecond')")
            while int(psql.value(f"select promoted from pgforeman.tick('{QUEUE}', false)")) > 0:
                pass
            handle("done", count)

    def claim_sql(self, count):
        """Claims so many and shows them, under a token that is never used again."""
        token = random.getrandbits(62) + 1
        return f"select * from pgforeman.claim('{QUEUE}', {count}, {token}, '1 hour')"

    def start(self, database, children, batch, latencies=None, idle=True, handler=""):
        """`handler`: words for our jsonl handler, beside those of the contestant."""
        mode = self.options.get("mode", "noop")
        settings = {"PGFOREMAN_HANDLER_MODE": mode}
        if mode == "noop":
            settings["PGFOREMAN_NOOP_DISCARDS"] = "yes"
        if mode == "exec":
            settings["PGFOREMAN_HANDLER"] = "true"
        if mode == "jsonl":
            words = [self.bench.program("bench_handler"), self.options.get("handler", ""), handler]
            words += ["--ages", latencies] if latencies else []
            settings["PGFOREMAN_HANDLER"] = " ".join(str(word) for word in words if word)
        if (batch := self.options.get("batch", batch)) != "default":
            settings["PGFOREMAN_BATCH"] = str(batch)
        settings |= self.options.get("settings", {})
        return Fleet(self.bench, self.program(), database, children, settings, idle)


class BareLoop(Pgforeman):
    """On pgforeman's own table, filled by its own send_batch: the rows are the same."""

    @property
    def template(self):
        return "template_pgforeman"

    def start(self, database, children, batch, latencies=None):
        argv = [self.bench.program("bench_bare_loop"), "--connections", children, "--batch", batch]
        argv += [f"--{shape}" for shape in ("marked", "leased") if self.options.get(shape)]
        talker = Talker([str(a) for a in argv], self.bench.scratch("bare_loop.log"),
                        env=self.bench.server.env(database))
        workers = Workers([talker])
        workers.go = talker.say
        return workers


class RawInsert(Pgforeman):
    """A bare INSERT of the same rows into an equal table with its indexes: for sends only."""
    sends_into = "bench_raw"

    @property
    def template(self):
        return "template_pgforeman"

    def prepare(self, psql):
        """The table. What every row of it has is its columns' default: COPY then needs no more than
        payloads, and a statement neither."""
        storage = psql.value("select array_to_string(reloptions, ', ') from pg_class "
                             "where oid = 'pgforeman.message'::regclass")
        psql("create table if not exists bench_raw (like pgforeman.message including all) "
             f"with ({storage})")
        psql(f"alter table bench_raw alter queue set default '{QUEUE}', alter place set default 5::bigint << 56")

    def send_sql(self):
        return "insert into bench_raw (payload) values ($1::json) returning id"

    def send_array_sql(self):
        return "insert into bench_raw (payload) select unnest($1::json[]) returning id"

    def send_file(self):
        return [self.bench.server.bin / "psql", "-Xq", "-c", "copy bench_raw (payload) from stdin"]

    def send_loop(self, psql, count, payload):
        self.prepare(psql)
        cast = f"p::{self.payload_type(psql)}"
        return self._loop(psql, count, payload, "insert into bench_raw (queue, place, state, payload, "
                          f"headers) values ('{QUEUE}', 5::bigint << 56, 0, {cast}, '{{}}') returning id into sent")


class SpawnLoop(Contestant):
    """A process for each message and nothing else: no queue, no database (spawn_loop.cpp)."""
    uses_server = False

    def install(self, database):
        pass

    def newest(self, psql):
        return 0

    def is_left(self, psql, newest):
        return False

    def fill(self, psql, jobs, payload, delayed=False):
        return Spawns(self.talker, jobs)

    def start(self, database, children, batch, latencies=None):
        self.talker = Talker([str(self.bench.program("bench_spawn_loop")), "--children",
                              str(children)], self.bench.scratch("spawn_loop.log"))
        return Workers([self.talker])


class Spawns:
    def __init__(self, talker, jobs):
        self.talker, self.jobs = talker, jobs

    def commit(self):
        self.talker.say(f"go {self.jobs}")


class Floor(Contestant):
    """Insert and notify, one listener, one query: for wake-ups only."""

    def install(self, database):
        pass

    def prepare(self, psql):
        psql("create table bench_floor (id bigint generated always as identity primary key, "
             "payload jsonb not null)")

    def send_sql(self):
        return ("with sent as (insert into bench_floor (payload) values ($1::jsonb) returning id) "
                "select pg_notify('bench_floor', '') from sent")

    def start(self, database, children, batch, latencies=None):
        talker = Talker([str(self.bench.program("bench_floor")), str(latencies)],
                        self.bench.scratch("floor.log"), env=self.bench.server.env(database))
        return Workers([talker])


def node_env(bench, database, children, batch, latencies):
    env = bench.server.env(database) | {"BENCH_CONCURRENCY": str(children), "BENCH_BATCH": str(batch)}
    # pg reads the user from here when nothing else names one.
    env["USER"] = "postgres"
    if latencies:
        env["BENCH_LATENCIES"] = str(latencies)
    return env


def cpus():
    return len(os.sched_getaffinity(0))

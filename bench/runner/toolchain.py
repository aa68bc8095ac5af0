"""What all peers have in common: where they are installed, and how their workers are driven."""
import os
import pathlib

from .contestants import Contestant, Workers, cpus, node_env
from .processes import Failed, Talker, start, tail

CACHES = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
SOURCES = pathlib.Path(__file__).parent.parent / "peers"
STARTS = "--starts "


class Toolchain:
    """A language's way to install the peers that are written in it."""

    def __init__(self, say, name):
        self.say = say
        self.folder = CACHES / "pgforeman-bench" / name
        self.problem = None
        self.versions = {}

    def install(self):
        """Fills `versions`, or says in `problem` why it cannot."""
        raise NotImplementedError

    def why_not(self, kind):
        """Why a kind of contestant cannot take part; None when it can."""
        return self.problem


class PeerWorkers(Workers):
    """Programs that speak as peers/talk.mjs does; `make` starts one."""

    def __init__(self, make, count):
        self.make = make
        super().__init__([make() for _ in range(count)])

    def renew(self, pid):
        """Another one in the place of a worker that was killed."""
        at = self.pids().index(pid)
        self.talkers[at].stop()
        self.talkers[at] = self.make()
        self.talkers[at].expect("ready")


class Peer(Contestant):
    toolchain = None  # a key of bench.peers

    @property
    def tools(self):
        return self.bench.peers[self.toolchain]

    def argv(self, *words):
        raise NotImplementedError

    def install(self, database):
        log = self.bench.scratch("peer_install.log")
        with open(log, "wb") as out:
            run = start(self.argv("install"), stdout=out, stderr=out,
                        env=node_env(self.bench, database, 1, 1, None))
        if run.wait(120) != 0:
            raise Failed(f"{self.name} cannot be installed: {tail(log)}")

    def environment(self, database, concurrency, batch, latencies):
        """What a worker is told. "--starts FILE" in place of a file of latencies: when each message
        began, for rescue.py."""
        starts = str(latencies or "").startswith(STARTS)
        env = node_env(self.bench, database, concurrency, batch, None if starts else latencies)
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        if starts:
            env["BENCH_STARTS"] = latencies.removeprefix(STARTS)
        return env

    def workers(self, env):
        processes = self.options.get("processes", 1)
        count = cpus() if processes == "cpus" else processes
        if "BENCH_STARTS" in env:  # a killed worker needs another to rescue its message
            count = max(count, 2)
        return PeerWorkers(lambda: Talker(self.argv("work"), self.bench.scratch(f"{self.name}.log"),
                                          env=env), count)

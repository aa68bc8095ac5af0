"""What every measurement needs: the server, the programs, scratch files, fresh databases."""
import contextlib
import pathlib
import random
import sys

from . import peers
from .contestants import BareLoop, Floor, Pgforeman, RawInsert, SpawnLoop
from .processes import Failed
from .server import Psql

KINDS = {"pgforeman": Pgforeman, "bare_loop": BareLoop, "floor": Floor,
         "raw_insert": RawInsert, "spawn_loop": SpawnLoop, **peers.KINDS}


class Payload:
    """JSON of about so many bytes that no compression makes smaller: hexadecimal noise. The same for
    all contestants and rounds."""

    def __init__(self, bench, size):
        noise = random.Random(size).randbytes(max(1, (size - len('{"pad": ""}')) // 2)).hex()
        self.text = f'{{"pad": "{noise}"}}'
        self.file = bench.folder / f"payload_{size}.json"
        if not self.file.exists():
            self.file.write_text(self.text)


class Bench:
    def __init__(self, folder, build, server, peers, contestants, against=None):
        self.folder, self.build = pathlib.Path(folder), pathlib.Path(build)
        self.server, self.peers = server, peers
        self.definitions, self.against = contestants, against
        self.templates = set()
        self.calibrated = {}  # see drain.py

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def program(self, name, build=None):
        path = (pathlib.Path(build) if build else self.build) / name
        if not path.exists():
            raise Failed(f"{path} does not exist: cmake --build {self.build} --target "
                         "pgforeman bench_programs")
        return path

    def scratch(self, name):
        return self.folder / name

    def contestant(self, name):
        options = self.definitions[name]
        return KINDS[options["kind"]](self, name, options)

    def why_not(self, name):
        """Why a contestant cannot take part; None when it can."""
        return self.peers.why_not(self.definitions[name]["kind"])

    def payload(self, size):
        return Payload(self, size)

    @contextlib.contextmanager
    def database(self, contestant, durable=True):
        """A session in a fresh database with the contestant's schema."""
        template = contestant.template
        if template not in self.templates:
            self.server.fresh(template)
            contestant.install(template)
            self.templates.add(template)
        self.server.fresh("bench", template)
        if not durable:
            self.server.admin("alter database bench set synchronous_commit = off")
        psql = Psql(self.server, "bench")
        try:
            with contestant.surroundings(durable):
                yield psql
        finally:
            psql.close()
            self.server.drop("bench")

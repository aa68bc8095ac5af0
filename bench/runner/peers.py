"""The peers that come from elsewhere, each with the toolchain of its language. Their settings are
what their own documentation calls fastest; bench/README.md quotes it."""
from .peers_go import Go, River
from .peers_node import GraphileWorker, Npm, PgBoss
from .peers_python import Celery, PgQueuer, Python
from .toolchain import Peer

KINDS = {"graphile_worker": GraphileWorker, "pg_boss": PgBoss, "river": River, "pgqueuer": PgQueuer,
         "celery": Celery}
__all__ = ["KINDS", "Peer", "Peers"]


class Peers:
    """Where they are installed, with which versions; or why not."""

    def __init__(self, say):
        self.toolchains = {"npm": Npm(say), "go": Go(say), "python": Python(say)}

    def __getitem__(self, name):
        return self.toolchains[name]

    def install(self, kinds):
        """What contestants of these kinds need."""
        for name in sorted({KINDS[kind].toolchain for kind in kinds if kind in KINDS}):
            self[name].install()

    def why_not(self, kind):
        return self[KINDS[kind].toolchain].why_not(kind) if kind in KINDS else None

    @property
    def versions(self):
        return {name: version for each in self.toolchains.values()
                for name, version in each.versions.items() if version}

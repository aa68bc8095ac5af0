"""The daemon of another commit, measured beside today's: where it comes from, its contestants."""
import pathlib
import subprocess

from .processes import Failed, tail

ROOT = pathlib.Path(__file__).parent.parent.parent
BASELINE = ROOT / "bench/baseline"
SUFFIX = "-against"


class Against:
    """A build folder with the other daemon in it, and what to call it."""

    def __init__(self, build, name, commit=None):
        self.build, self.name, self.commit = pathlib.Path(build), name, commit


def baseline(path=BASELINE):
    """The commit that is named there; lines with a # are comments."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    named = [line for line in lines if line and not line.startswith("#")]
    if len(named) != 1:
        raise Failed(f"{path} should name one commit, not {len(named)}")
    return named[0]


def find(text, say):
    """`text` is a build folder, a commit, or empty for the commit of bench/baseline. A commit's
    daemon is built unless that was done before."""
    folder = pathlib.Path(text) if text else None
    if folder and (folder / "pgforeman").is_file():
        return Against(folder.resolve(), str(text))
    wanted = text or baseline()
    commit = git("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
    if not commit:
        raise Failed(f"{wanted} is neither a commit that is here nor a folder with a pgforeman")
    short = git("rev-parse", "--short", commit)
    source = ROOT / "build/against" / short
    build = source / "build/release"
    if not (build / "pgforeman").is_file():
        say(f"building the daemon of {short}")
        make(commit, source)
    return Against(build, short, commit)


def git(*words):
    run = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else ""


def make(commit, source):
    """The commit's tree, and its release daemon alone."""
    source.mkdir(parents=True, exist_ok=True)
    log = source / "build.log"
    with open(log, "wb") as out:
        tree = subprocess.run(["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE,
                              stderr=out, check=False)
        steps = [(["tar", "-x"], tree.stdout),
                 (["cmake", "--preset", "release", "-DPGFOREMAN_TESTS=OFF"], None),
                 (["cmake", "--build", "build/release", "--target", "pgforeman"], None)]
        for argv, given in steps:
            run = subprocess.run(argv, input=given, cwd=source, stdout=out, stderr=out)
            if tree.returncode != 0 or run.returncode != 0:
                raise Failed(f"{argv[0]} of {commit}: {tail(log)}; all of it is in {log}")


def add(scenarios, contestants, against):
    """Gives each pgforeman a twin: the same, with the other daemon."""
    for name, options in list(contestants.items()):
        if options["kind"] == "pgforeman":
            contestants[name + SUFFIX] = options | {
                "build": str(against.build), "label": f"{options['label']}, {against.name}"}
    for scenario in scenarios.values():
        scenario.contestants = [each for name in scenario.contestants for each in
                                ([name, name + SUFFIX] if name + SUFFIX in contestants else [name])]


def original(name):
    """Whose twin it is; itself, if it is no twin."""
    return name.removesuffix(SUFFIX)

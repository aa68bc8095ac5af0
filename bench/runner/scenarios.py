"""Reads bench/scenarios.json: what is measured is data."""
import json
import pathlib

from .against import original
from .processes import Failed

FILE = pathlib.Path(__file__).parent.parent / "scenarios.json"
ROUNDS, QUICK_ROUNDS = 5, 3


class Scenario:
    def __init__(self, name, data, quick):
        self.name, self.data, self.quick = name, data, quick
        self.title = data["title"]
        self.question = data["question"]
        self.measure = data["measure"]
        self.baseline = data["baseline"]
        self.notes = data.get("notes", [])
        self.ours, self.beside = data.get("ours", []), data.get("beside", [])
        self.unlisted = data.get("unlisted", False)
        short = data.get("quick", {}) if quick else {}
        # A run of all does without it.
        self.only_by_name = self.unlisted or short.get("only_by_name", False)
        self.contestants = short.get("contestants", data["contestants"])
        self.jobs_at = short.get("jobs_at", data.get("jobs_at", {}))
        self.jobs_of = short.get("jobs_of", data.get("jobs_of", {}))
        self.rounds = short.get("rounds", QUICK_ROUNDS) if quick else data.get("rounds", ROUNDS)
        self.parameters = data["parameters"] | short.get("parameters", {})
        self.vary = data.get("vary")
        self.points = [None]
        if self.vary:
            # Points are values of one parameter, or cases by name with several of them.
            self.points = list(self.vary.get("points", self.vary.get("cases")))
            if quick:
                self.points = self.vary.get("quick", self.points)

    def at(self, point, contestant=None):
        """The parameters of one point; `jobs_at` gives a point its own number of messages, and
        `jobs_of` a contestant."""
        found = dict(self.parameters)
        if self.vary:
            found |= self.vary["cases"][point] if "cases" in self.vary else {
                self.vary["parameter"]: point}
        if str(point) in self.jobs_at:
            found["jobs"] = self.jobs_at[str(point)]
        if contestant and original(contestant) in self.jobs_of:
            found["jobs"] = self.jobs_of[original(contestant)]
        return found

    def is_left_out(self, contestant, point):
        """A contestant may be spared points that would take it minutes; the result says so."""
        most = self.data.get("at_most", {}).get(original(contestant))
        return most is not None and point is not None and point > most


def load(quick, path=FILE):
    data = json.loads(path.read_text())
    scenarios = {}
    for name, each in data["scenarios"].items():
        unknown = [c for c in each["contestants"] if c not in data["contestants"]]
        if unknown:
            raise Failed(f"{path.name}: {name} names contestants that are not there: {unknown}")
        scenarios[name] = Scenario(name, each, quick)
    return scenarios, data["contestants"]

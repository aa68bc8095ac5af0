#!/usr/bin/env python3
"""The runner's own logic: statistics, ratios, tables, charts, and that the scenarios make sense."""
import base64
import importlib
import json
import math
import pathlib
import random
import re
import socket
import tempfile
import threading
import types
import unittest
import unittest.mock
import xml.dom.minidom

from runner import (against, charts, cli, drain, peers, peers_go, peers_python, redis, report,
                    scenarios, stats, steady)
from runner.bench import KINDS
from runner.messages import Message
from runner.peers import Peers


def result(samples, baseline, metrics=None, vary=None):
    points, labels = [], {}
    for contestant, point, _ in samples:
        labels[contestant] = f"the {contestant}"
        if point not in points:
            points.append(point)
    return {
        "scenario": "some", "order": 1, "title": "Some <scenario>", "question": "How fast?",
        "parameters": {"jobs": 1000, "durable": True}, "vary": vary,
        "chart": "rate", "baseline": baseline,
        "metrics": metrics or {"rate": ["messages a second", "1/s", "higher"]},
        "labels": labels, "points": points, "figures": stats.figures(samples, baseline),
        "histograms": [], "series": {}, "notes": ["a note"],
        "measured": {"rounds": 3, "quick": True, "when": "2026-01-02 03:04", "commit": "abc",
                     "peers": {},
                     "machine": {"cpus": 2, "cpu": "X", "memory_gib": 4, "system": "S", "kernel": "K",
                                 "file_system": "ext4", "load_before": 0.1},
                     "server": {"version": "15", "settings": {"fsync": "on"},
                                "one_row_commit_us": 500}},
    }


class Statistics(unittest.TestCase):
    def test_percentiles_are_values_that_were_seen(self):
        values = list(range(1, 1001))
        self.assertEqual(stats.percentile(values, 0.5), 500)
        self.assertEqual(stats.percentile(values, 0.99), 990)
        self.assertEqual(stats.percentile(values, 0.999), 999)
        self.assertEqual(stats.percentile([7], 0.999), 7)
        self.assertEqual(stats.percentile([3, 1, 2], 1), 3)

    def test_a_summary_has_median_and_spread(self):
        found = stats.summary([10, 30, 20])
        self.assertEqual((found["median"], found["min"], found["max"]), (20, 10, 30))
        self.assertEqual(found["spread"], 1.0)

    def test_a_ratio_is_taken_round_by_round(self):
        # The second round was slow for both: the ratio does not care.
        self.assertEqual(stats.ratio([200, 20, 300], [100, 10, 100])["median"], 2)
        self.assertEqual(stats.ratio([200, 20, 300], [100, 10, 100])["max"], 3)
        self.assertIsNone(stats.ratio([1], [0]))

    def test_a_baseline_is_another_contestant_or_another_point(self):
        samples = {("a", 0, "rate"): [10, 10], ("b", 0, "rate"): [5, 5],
                   ("a", 9, "rate"): [4, 4], ("b", 9, "rate"): [1, 1]}
        by = {(r["contestant"], r["point"]): r for r in stats.figures(samples, {"contestant": "a"})}
        self.assertEqual(by["b", 0]["ratio"]["median"], 0.5)
        self.assertEqual(by["b", 9]["ratio"]["median"], 0.25)
        self.assertTrue(by["a", 9]["is_baseline"])
        by = {(r["contestant"], r["point"]): r for r in stats.figures(samples, {"point": 0})}
        self.assertEqual(by["b", 9]["ratio"]["median"], 0.2)
        self.assertEqual(by["a", 9]["ratio"]["median"], 0.4)

    def test_without_its_baseline_a_figure_has_no_ratio(self):
        rows = stats.figures({("b", None, "rate"): [5]}, {"contestant": "a"})
        self.assertIsNone(rows[0]["ratio"])

    def test_an_interval_of_the_median_is_made_of_values_that_were_seen(self):
        # Published tables of the sign test: of 6 the outer two, of 15 the 4th and the 12th, of 20
        # the 6th and the 15th.
        for count, low, high in ((6, 1, 6), (9, 2, 8), (15, 4, 12), (20, 6, 15), (100, 40, 61)):
            self.assertEqual(stats.interval(range(count, 0, -1)), (low, high), count)
        for count in range(6):
            self.assertIsNone(stats.interval(range(count)))

    def test_an_interval_covers_the_median_as_often_as_it_says(self):
        dice = random.Random(1)
        for count in (6, 15, 40):
            hit = 0
            for _ in range(2000):
                low, high = stats.interval([dice.expovariate(1) for _ in range(count)])
                hit += low <= math.log(2) <= high
            self.assertGreater(hit / 2000, 0.94, count)

    def test_pairs_are_taken_round_by_round(self):
        found = stats.pairs([2, 20, 200, 2, 2, 3], [1, 10, 100, 1, 1, 1])
        self.assertEqual((found["median"], found["interval"], found["count"]), (2, (2, 3), 6))
        self.assertIsNone(stats.pairs([2], [1])["interval"])
        self.assertIsNone(stats.pairs([2], [0]))

    def test_a_histogram_loses_nothing(self):
        values = [0.5, 0.6, 2, 2.1, 900]
        buckets = stats.histogram(values)
        self.assertEqual(sum(count for _, count in buckets), len(values))
        self.assertLessEqual(buckets[0][0], 0.5)
        self.assertEqual(stats.histogram([]), [])

    def test_numbers_are_short(self):
        self.assertEqual([stats.short(n) for n in (0, 12345, 123.4, 1.234, 0.01234, 999999)],
                         ["0", "12,300", "123", "1.23", "0.0123", "1,000,000"])


class Reports(unittest.TestCase):
    samples = {("bare", 0, "rate"): [100.0, 110.0, 90.0],
               ("pgforeman", 0, "rate"): [50.0, 66.0, 54.0]}

    def test_a_table_has_medians_spread_and_ratios(self):
        lines = report.table(result(self.samples, {"contestant": "bare"}, vary="dead rows"))
        self.assertEqual(lines[0], "| dead rows |  | messages a second, 1/s |")
        self.assertEqual(lines[2], "| 0 | the bare | 100 (90.0 to 110) · **baseline** |")
        self.assertEqual(lines[3], "| 0 | the pgforeman | 54.0 (50.0 to 66.0) · **0.60×** |")
        self.assertTrue(all(line.count("|") == 4 for line in lines))

    def test_it_is_said_who_is_better(self):
        said = list(report.winners(result(self.samples, {"contestant": "bare"})))
        self.assertEqual(len(said), 1)
        self.assertEqual(said, ["Better than the pgforeman with 54.0 at 0: the bare with 100."])
        ours = {("bare", 0, "rate"): [1.0], ("pgforeman", 0, "rate"): [2.0]}
        self.assertEqual(list(report.winners(result(ours, {"contestant": "bare"}))), [])
        less = result(self.samples, {"contestant": "bare"}, {"rate": ["latency", "ms", "lower"]})
        self.assertEqual(list(report.winners(less)), [])

    def test_like_is_set_against_like(self):
        samples = {("bare", None, "rate"): [100], ("pgforeman", None, "rate"): [50],
                   ("pgforeman-auto", None, "rate"): [900]}
        page = result(samples, {"contestant": "bare"})
        self.assertEqual(list(report.winners(page)), [])
        said = list(report.winners(page | {"ours": ["pgforeman"]}))
        self.assertEqual(said, ["Better than the pgforeman with 50.0: the bare with 100."])

    def test_who_keeps_more_of_its_own_rate_is_better(self):
        samples = {("pgforeman", 0, "rate"): [100], ("pgforeman", 9, "rate"): [80],
                   ("peer", 0, "rate"): [10], ("peer", 9, "rate"): [9]}
        said = list(report.winners(result(samples, {"point": 0}, vary="dead")))
        self.assertEqual(said, ["Better than the pgforeman with 0.800× at dead: 9: "
                                "the peer with 0.900×."])

    def test_ours_is_set_beside_others_round_by_round(self):
        samples = {("bare", None, "rate"): [1, 1, 1], ("peer", None, "rate"): [10, 20, 40],
                   ("pgforeman", None, "rate"): [30, 40, 40]}
        page = result(samples, {"contestant": "bare"}) | {"beside": ["peer", "nobody"]}
        self.assertEqual(list(report.beside(page)),
                         ["the pgforeman beside the peer: **2.00×** (1.00 to 3.00)"])

    def test_twins_are_told_as_pairs_and_take_no_part_elsewhere(self):
        samples = {("bare", None, "rate"): [100] * 6, ("pgforeman", None, "rate"): [60] * 6,
                   ("pgforeman-against", None, "rate"): [50, 40, 60, 50, 50, 50]}
        page = result(samples, {"contestant": "bare"}) | {"against": "abc123", "beside": ["bare"]}
        lines = report.against(page)
        self.assertIn("beside abc123", lines[0])
        self.assertIn("of 6 interleaved pairs; in brackets its 95 % interval", lines[0])
        self.assertEqual(lines[-1], "| the pgforeman | **1.200×** (1.000 to 1.500) |")
        self.assertEqual(len(list(report.beside(page))), 1)
        few = {name: values[:3] for name, values in samples.items()}
        lines = report.against(result(few, {"contestant": "bare"}) | {"against": "abc123"})
        self.assertIn("fewer than 6 pairs", lines[0])
        self.assertEqual(report.against(result(self.samples, {"contestant": "bare"})), [])
        faster = samples | {("pgforeman-against", None, "rate"): [150] * 6}
        said = list(report.winners(result(faster, {"contestant": "bare"})))
        self.assertEqual(said, ["Better than the pgforeman with 60.0: the bare with 100."])

    def test_a_page_is_made_of_all_results_that_lie_there(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            first = result(self.samples, {"contestant": "bare"})
            report.write(folder, first)
            report.write(folder, first | {"scenario": "other", "order": 0, "title": "Other"})
            page = (folder / report.PAGE).read_text()
            self.assertLess(page.index("## Other"), page.index("## Some"))
            self.assertEqual(page.count("**Measured on**"), 1)
            self.assertIn("a note", page)
            for chart in folder.glob("*.svg"):
                xml.dom.minidom.parse(str(chart))
                self.assertIn(chart.name, page)

    def test_charts_are_well_formed(self):
        drawn = [charts.bars("a < b", [(None, [("x & y", 0, 5, 4, 6)]), ("g", [])], stats.short),
                 charts.bars("none", [], stats.short),
                 charts.lines("l", {"a": [(0, 1), (1, 2)]}, "seconds", stats.short),
                 charts.histogram("h", {"a": stats.histogram([1, 2, 30])}, "ms", stats.short),
                 charts.histogram("h", {}, "ms", stats.short)]
        for text in drawn:
            xml.dom.minidom.parseString(text)


class Contestant:
    name, uses_server = "pgforeman", True


class Measures(unittest.TestCase):
    def drains(self, rate, parameters, bench, name="pgforeman"):
        """What a contestant of such a rate is given to drain."""
        given = []

        def run(_bench, _contestant, _parameters, jobs):
            given.append(jobs)
            return jobs / rate, (1, 1), {}
        contestant = Contestant()
        contestant.name = name
        with unittest.mock.patch.object(drain, "run", run):
            found, _ = drain.measure(bench, contestant, parameters)
        return given, found[None]

    def test_a_drain_that_is_over_too_soon_is_made_again_with_more(self):
        bench = types.SimpleNamespace(calibrated={})
        parameters = {"jobs": 1000, "least_seconds": 1.5}
        given, found = self.drains(100_000, parameters, bench)
        self.assertEqual(given, [1000, 210_000])
        self.assertEqual((found["jobs"], found["seconds"]), (210_000, 2.1))
        # Later rounds know it, twins have the same, and other parameters are another matter.
        self.assertEqual(self.drains(500_000, parameters, bench)[0], [210_000])
        self.assertEqual(self.drains(9, parameters, bench, "pgforeman-against")[0], [210_000])
        self.assertEqual(self.drains(500, parameters | {"children": 4}, bench)[0], [1000])
        self.assertEqual(self.drains(9e9, {"jobs": 7}, bench)[0], [7])

    def test_sessions_that_come_while_it_is_measured_count(self):
        first = {"done": 100, "sessions": {"1": 1.0}, "server": 5.0, "workers": 2.0}
        last = {"done": 300, "sessions": {"1": 1.5, "2": 0.5}, "server": 9.0, "workers": 2.2}
        found = steady.between(first, last)
        self.assertEqual({name: round(value) for name, value in found.items()},
                         {"fleet_cpu": 5000, "server_cpu": 20000, "worker_cpu": 1000})
        with self.assertRaises(scenarios.Failed):
            steady.between(first, first)


class Scenarios(unittest.TestCase):
    def test_each_can_be_run_both_ways(self):
        for quick in (True, False):
            known, contestants = scenarios.load(quick)
            for name, each in known.items():
                with self.subTest(name=name, quick=quick):
                    measure = importlib.import_module(f"runner.{each.measure}")
                    self.assertTrue(measure.METRICS)
                    self.assertTrue(each.question.endswith((".", "?", ")")))
                    self.assertGreaterEqual(each.rounds, 1)
                    baseline = each.baseline.get("contestant")
                    self.assertIn(baseline, [None, *each.contestants])
                    if each.vary and "point" in each.baseline:
                        self.assertIn(each.baseline["point"], each.points)
                    for contestant in each.contestants:
                        self.assertIn(contestants[contestant]["kind"], KINDS)
                    self.assertLessEqual({*each.ours, *each.beside}, contestants.keys())

    def test_messages_may_depend_on_point_and_contestant(self):
        each = scenarios.Scenario("some", {
            "title": "t", "question": "q", "measure": "drain", "baseline": {}, "contestants": [],
            "parameters": {"jobs": 1, "rate": 0}, "jobs_at": {"fast": 2}, "jobs_of": {"slow": 3},
            "vary": {"title": "flow", "cases": {"fast": {"rate": 9}, "faster": {"rate": 99}},
                     "quick": ["faster"]}}, False)
        self.assertEqual(each.points, ["fast", "faster"])
        self.assertEqual(each.at("fast", "any"), {"jobs": 2, "rate": 9})
        self.assertEqual(each.at("faster", "any"), {"jobs": 1, "rate": 99})
        self.assertEqual(each.at("faster", "slow-against"), {"jobs": 3, "rate": 99})
        self.assertEqual(scenarios.Scenario("some", each.data, True).points, ["faster"])

    def test_the_default_is_a_row_wherever_claims_are_of_many(self):
        known, contestants = scenarios.load(False)
        for name, each in known.items():
            ours = {c for c in each.contestants if contestants[c]["kind"] == "pgforeman"}
            if not each.unlisted and ours and each.parameters.get("batch", 1) >= 100:
                default = {c for c in ours if contestants[c].get("batch") == "default"}
                self.assertTrue(default, name)

    def test_drains_have_the_loop_with_a_mark_as_their_baseline(self):
        for quick in (True, False):
            for name, each in scenarios.load(quick)[0].items():
                if name.startswith(("drain", "children", "distance")):
                    self.assertEqual(each.baseline, {"contestant": "bare-marked"}, name)
                    self.assertIn("least_seconds", each.parameters)

    def test_a_contestant_beside_itself_has_as_many_messages_at_each_point(self):
        for quick in (True, False):
            for name, each in scenarios.load(quick)[0].items():
                if "point" in each.baseline and each.measure == "drain":
                    self.assertNotIn("least_seconds", each.parameters, name)

    def test_comparisons_have_their_rounds(self):
        for quick, rounds in ((True, 3), (False, 5)):
            for name, each in scenarios.load(quick)[0].items():
                if not each.unlisted and each.measure != "soak":
                    self.assertGreaterEqual(each.rounds, rounds, name)

    def test_each_pgforeman_has_a_twin_with_the_other_daemon(self):
        known, contestants = scenarios.load(True)
        against.add(known, contestants, against.Against("/else/where", "abc123"))
        for each in known.values():
            for name in each.contestants:
                if contestants[name]["kind"] == "pgforeman" and not name.endswith("-against"):
                    place = each.contestants.index(name)
                    self.assertEqual(each.contestants[place + 1], f"{name}-against")
        twin = contestants["pgforeman-against"]
        self.assertEqual((twin["build"], twin["label"]), ("/else/where", "pgforeman, abc123"))
        left_out = known["wake"].is_left_out
        for name in known["wake"].contestants:
            self.assertEqual(left_out(name, 0.5), left_out(against.original(name), 0.5), name)

    def test_the_baseline_is_one_commit(self):
        self.assertRegex(against.baseline(), "^[0-9a-f]{40}$")
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "baseline"
            file.write_text("# why\nabc\n\n")
            self.assertEqual(against.baseline(file), "abc")
            file.write_text("# none\n")
            with self.assertRaisesRegex(scenarios.Failed, "one commit"):
                against.baseline(file)

    def test_options_may_stand_anywhere(self):
        for words, names, commit in (
                (["drain-1", "--against", "abc", "wake"], ["drain-1", "wake"], "abc"),
                (["--against", "drain-1"], ["drain-1"], ""), (["--against"], [], ""),
                (["wake", "--rounds", "15"], ["wake"], None)):
            options = cli.arguments(words)
            self.assertEqual((options.scenario, options.against), (names, commit), words)

    def test_an_unknown_contestant_is_a_mistake(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "s.json"
            file.write_text('{"contestants": {}, "scenarios": {"x": {"contestants": ["who"]}}}')
            with self.assertRaisesRegex(scenarios.Failed, "who"):
                scenarios.load(True, file)


class FromElsewhere(unittest.TestCase):
    """The peers, without any of them: that needs registries."""

    def test_each_has_its_toolchain(self):
        for kind, each in peers.KINDS.items():
            self.assertIn(each.toolchain, Peers(print).toolchains, kind)
            self.assertIs(KINDS[kind], each)

    def test_a_missing_toolchain_takes_only_its_own_out(self):
        found = Peers(print)
        found["go"].problem = "go is not installed"
        self.assertEqual(found.why_not("river"), "go is not installed")
        self.assertIsNone(found.why_not("pgqueuer"))
        self.assertIsNone(found.why_not("pgforeman"))

    def test_their_packages_are_pinned(self):
        for line in peers_python.REQUIREMENTS.read_text().splitlines():
            self.assertRegex(line, r"^#|^[A-Za-z0-9_.-]+==[0-9.]+(post\d+)?(; .*)?$")
        sums = (peers_go.SOURCE / "go.sum").read_text()
        for module, version in re.findall(r"^\t(\S+) (v\S+)",
                                          (peers_go.SOURCE / "go.mod").read_text(), re.M):
            self.assertIn(f"{module} {version} h1:", sums)

    def test_a_copy_of_a_message_of_celery_has_ids_of_its_own(self):
        body = base64.b64encode(json.dumps([[{}], {}, {"chain": None}]).encode()).decode()
        message = Message(json.dumps({
            "body": body, "headers": {"id": "1", "root_id": "1", "task": "bench.handle"},
            "properties": {"correlation_id": "1", "delivery_tag": "2",
                           "delivery_info": {"exchange": "", "routing_key": "bench"}}}))
        first, second = (json.loads(message.copy({"n": n})) for n in (1, 2))
        self.assertEqual(message.queue, "bench")
        self.assertEqual(json.loads(base64.b64decode(second["body"])), [[{"n": 2}], {}, {"chain": None}])
        self.assertEqual(first["headers"]["task"], "bench.handle")
        self.assertEqual(second["headers"]["id"], second["properties"]["correlation_id"])
        for part, name in (("headers", "id"), ("properties", "delivery_tag")):
            self.assertNotEqual(first[part][name], second[part][name])

    def test_redis_is_spoken(self):
        self.assertEqual(redis.request(["LPUSH", b"k", 12]),
                         b"*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$2\r\n12\r\n")
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{folder}/socket")
            server.listen()

            def answer():
                client, _ = server.accept()
                client.recv(4096)
                client.sendall(b"+OK\r\n:12\r\n$5\r\na\r\nbc\r\n$-1\r\n-ERR no\r\n")
                client.close()

            thread = threading.Thread(target=answer)
            thread.start()
            client = redis.Client(f"{folder}/socket")
            self.assertEqual(client.pipeline([["X"]] * 4), [b"OK", 12, b"a\r\nbc", None])
            with self.assertRaisesRegex(redis.Failed, "ERR no"):
                client.reply()
            client.close()
            thread.join()


if __name__ == "__main__":
    unittest.main()

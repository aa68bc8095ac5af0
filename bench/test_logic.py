#!/usr/bin/env python3
"""The runner's own logic: statistics, ratios, tables, charts, and that the scenarios make sense."""
import base64
import importlib
import json
import pathlib
import re
import socket
import tempfile
import threading
import unittest
import xml.dom.minidom

from runner import charts, peers, peers_go, peers_python, redis, report, scenarios, stats
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

    def test_comparisons_have_their_rounds(self):
        for quick, rounds in ((True, 3), (False, 5)):
            for name, each in scenarios.load(quick)[0].items():
                if not each.unlisted and each.measure != "soak":
                    self.assertGreaterEqual(each.rounds, rounds, name)

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

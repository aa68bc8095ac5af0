"""bench/run.py [SCENARIO...] [--quick] [--list] [--rounds N] [--against [COMMIT]] [--build FOLDER]
[--results FOLDER]"""
import argparse
import datetime
import importlib
import pathlib
import signal
import sys
import tempfile
import time

from . import against, machine, report, scenarios, stats
from .bench import Bench
from .peers import Peers
from .processes import Failed
from .server import Server

ROOT = pathlib.Path(__file__).parent.parent.parent


def arguments(words):
    parser = argparse.ArgumentParser(prog="tools/bench", description="Measures pgforeman beside what "
                                     "one would use instead, on a private PostgreSQL.")
    parser.add_argument("scenario", nargs="*", help="what to measure (default: all; see --list)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and messages: minutes")
    parser.add_argument("--list", action="store_true", help="names and questions of the scenarios")
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path,
                        help="where the programs are")
    parser.add_argument("--rounds", type=positive, metavar="N",
                        help="how often each is measured (default: 5; 3 with --quick)")
    parser.add_argument("--against", nargs="?", const="", metavar="COMMIT",
                        help="measures each pgforeman with the daemon of another commit too "
                        "(default: that of bench/baseline; or a folder with its build)")
    parser.add_argument("--results", type=pathlib.Path,
                        help="where to write (default: bench/results/full, or quick)")
    options = parser.parse_intermixed_args(words)
    known = scenarios.load(options.quick)[0]
    if options.against in known:  # `--against drain-1`: the word after it was meant as a scenario
        options.scenario.insert(0, options.against)
        options.against = ""
    return options


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def run_scenario(bench, scenario, order, common):
    """All rounds, interleaved: every contestant at every point once, then all of it again, in the
    opposite order."""
    measure = importlib.import_module(f".{scenario.measure}", __package__)
    notes, names = list(scenario.notes), []
    for name in scenario.contestants:
        problem = bench.why_not(name)
        if problem:
            notes.append(f"{bench.definitions[name]['label']} is missing: {problem}")
        else:
            names.append(name)
    samples, pooled, series, points = {}, {}, {}, []
    for number in range(scenario.rounds):
        for point in scenario.points:
            # There and back: each has every neighbour as often before it as after it.
            for name in names if number % 2 == 0 else names[::-1]:
                if scenario.is_left_out(name, point):
                    continue
                begin = time.monotonic()
                found, more = measure.measure(bench, bench.contestant(name),
                                              scenario.at(point, name))
                for inner, metrics in found.items():
                    where = point if inner is None else inner
                    if where not in points:
                        points.append(where)
                    for metric, value in metrics.items():
                        samples.setdefault((name, where, metric), []).append(value)
                for inner, values in more.get("latencies", {}).items():
                    pooled.setdefault((name, point if inner is None else inner), []).extend(values)
                series |= more.get("series", {})
                shown = ", ".join(f"{metric} {stats.short(value)}" for metrics in found.values()
                                  for metric, value in metrics.items())
                bench.say(f"  {number + 1}/{scenario.rounds} {'' if point is None else point} "
                          f"{name}: {shown} ({time.monotonic() - begin:.1f} s)")
    used = {metric for _, _, metric in samples}
    return {
        "scenario": scenario.name, "order": order, "title": scenario.title,
        "question": scenario.question, "parameters": scenario.parameters,
        "vary": scenario.vary["title"] if scenario.vary else None,
        "metrics": {k: v for k, v in measure.METRICS.items() if k in used},
        "chart": next(iter(measure.METRICS)), "baseline": scenario.baseline,
        "ours": scenario.ours, "beside": scenario.beside,
        "labels": {name: bench.definitions[name]["label"] for name in names},
        "definitions": {name: bench.definitions[name] for name in names},
        "points": points, "figures": stats.figures(
            samples, scenario.baseline, [k for k, v in measure.METRICS.items() if v[2] == "info"]),
        "histograms": [{"contestant": n, "point": p, "count": len(v), "buckets": stats.histogram(v)}
                       for (n, p), v in pooled.items()],
        "series": series, "notes": notes,
        "against": bench.against.name if bench.against else None,
        "measured": common | {"rounds": scenario.rounds, "quick": scenario.quick,
                              "when": datetime.datetime.now().strftime("%Y-%m-%d %H:%M")},
    }


def wanted(names, known):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Failed(f"no such scenario: {', '.join(unknown)}; there are {', '.join(known)}")
    return names or [name for name, scenario in known.items() if not scenario.only_by_name]


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(options):
    known, contestants = scenarios.load(options.quick)
    if options.list:
        for name, scenario in known.items():
            if not scenario.unlisted:
                print(f"{name:16} {scenario.question}")
        return 0
    names = wanted(options.scenario, known)
    other = None
    if options.against is not None:
        other = against.find(options.against, say)
        against.add(known, contestants, other)
    if options.rounds:
        for name in names:
            known[name].rounds = options.rounds
    results = options.results or ROOT / "bench/results" / ("quick" if options.quick else "full")
    peers = Peers(say)
    peers.install({contestants[c]["kind"] for n in names for c in known[n].contestants})
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pgforeman-bench.") as folder:
        pathlib.Path(folder).chmod(0o755)
        (pathlib.Path(folder) / "server").mkdir()
        host = machine.describe(folder)
        with Server(pathlib.Path(folder) / "server") as server:
            common = {"commit": machine.commit(ROOT), "machine": host, "server": server.describe(),
                      "peers": {k: v for k, v in peers.versions.items() if v}}
            bench = Bench(folder, options.build, server, peers, contestants, other)
            for name in names:
                bench.say(f"{name}: {known[name].title}")
                result = run_scenario(bench, known[name], list(known).index(name), common)
                report.write(results, result)
                print("\n".join([f"\n{result['title']}", "", *report.table(result), "",
                                 *report.against(result), ""]), flush=True)
    print(f"{time.monotonic() - begin:.0f} s; the results are in {results / report.PAGE}")
    return 0


def interrupt(*_):
    raise KeyboardInterrupt


def main(words):
    # All end in the same way: everything that was started is ended in order. INT too, which a shell
    # has its background jobs ignore.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run(arguments(words))
    except Failed as problem:
        print(f"The benchmark failed: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted, all is cleaned up", file=sys.stderr)
        return 130

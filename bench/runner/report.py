"""From results to files: a JSON document and charts a scenario, one Markdown page of all."""
import json

from . import charts
from .against import SUFFIX
from .stats import interval, pairs, ratio, short

PAGE = "README.md"


def write(folder, result):
    """One scenario's files; the page is made anew from all that lie there."""
    folder.mkdir(parents=True, exist_ok=True)
    name = result["scenario"]
    for old in folder.glob(f"{name}.*svg"):
        old.unlink()
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for suffix, text in draw(result):
        (folder / f"{name}.{suffix}.svg").write_text(text)
    write_page(folder)


def draw(result):
    labels, metric = result["labels"], result["chart"]
    title, unit, _ = result["metrics"][metric]
    groups = []
    for point in result["points"]:
        rows = [(labels[r["contestant"]], list(labels).index(r["contestant"]),
                 r["median"], r["min"], r["max"])
                for r in result["figures"] if r["metric"] == metric and r["point"] == point]
        if rows:
            groups.append((heading(result, point), rows))
    yield metric, charts.bars(f"{result['title']}: {title}, {unit}", groups, short)
    if result.get("histograms"):
        shown = {}
        for each in result["histograms"]:
            where = "" if each["point"] is None else f" · {each['point']}"
            shown[labels[each["contestant"]] + where] = each["buckets"]
        title = f"{result['title']}: share of the messages"
        yield "histogram", charts.histogram(title, shown, "ms", short)
    for chart, lines in result.get("series", {}).items():
        # Beside the bars of the same name.
        yield f"{chart}-over-time", charts.lines(f"{result['title']}: {chart}", lines, "seconds", short)


def heading(result, point):
    if point is None:
        return None
    shown = f"{point:,}" if isinstance(point, int) else str(point)
    return f"{result['vary']}: {shown}" if result.get("vary") else shown


def table(result):
    """A row for each contestant and point, a column for each metric with its ratio."""
    metrics = result["metrics"]
    cells = {(r["contestant"], r["point"], r["metric"]): r for r in result["figures"]}
    head = []
    if any(point is not None for point in result["points"]):
        head = [result.get("vary") or ""]
    head += [""] + [f"{title}, {unit}" if unit else title for title, unit, _ in metrics.values()]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for point in result["points"]:
        for contestant, label in result["labels"].items():
            found = [cells.get((contestant, point, metric)) for metric in metrics]
            if not any(found):
                continue
            first = [] if point is None else [f"{point:,}" if isinstance(point, int) else str(point)]
            lines.append("| " + " | ".join(first + [label] + [cell(f) for f in found]) + " |")
    return lines


def cell(figure):
    if figure is None:
        return ""
    text = short(figure["median"])
    if len(figure["samples"]) > 1:
        text += f" ({short(figure['min'])} to {short(figure['max'])})"
    if figure["is_baseline"]:
        return text + " · **baseline**"
    if figure["ratio"]:
        text += f" · **{figure['ratio']['median']:.2f}×**"
    return text


def winners(result):
    """An honest line for each point at which pgforeman is not the best of all."""
    metric = result["chart"]
    sign = 1 if result["metrics"][metric][2] == "higher" else -1
    # Where each is set against itself, who keeps more of it is the better one.
    by_itself = "point" in result["baseline"] and "contestant" not in result["baseline"]

    def value(row):
        return row["ratio"]["median"] if by_itself and row["ratio"] else row["median"]

    def said(row):
        return f"{result['labels'][row['contestant']]} with {short(value(row))}{'×' * by_itself}"

    for point in result["points"]:
        if by_itself and point == result["baseline"]["point"]:
            continue
        rows = [r for r in result["figures"] if r["metric"] == metric and r["point"] == point]
        ours = [r for r in rows if is_ours(result, r["contestant"])]
        if not ours:
            continue
        mine = max(ours, key=lambda r: sign * value(r))
        better = [r for r in rows if sign * value(r) > sign * value(mine)
                  and not r["contestant"].startswith("pgforeman")]
        if not better:
            continue
        where = "" if point is None else f" at {heading(result, point)}"
        those = ", ".join(map(said, sorted(better, key=lambda r: -sign * value(r))))
        yield f"Better than {said(mine)}{where}: {those}."


def is_ours(result, contestant):
    """Like with like: `ours` names who of ours does what the others do."""
    if contestant.endswith(SUFFIX):
        return False
    return (contestant in result["ours"] if result.get("ours")
            else contestant.startswith("pgforeman"))


def beside(result):
    """Ours beside others than the baseline, as the scenario asks."""
    metric = result["chart"]
    rows = {(r["contestant"], r["point"]): r for r in result["figures"] if r["metric"] == metric}
    for other in result.get("beside", []):
        for (contestant, point), row in rows.items():
            if not contestant.startswith("pgforeman") or contestant.endswith(SUFFIX):
                continue
            if (other, point) not in rows:
                continue
            found = ratio(row["samples"], rows[other, point]["samples"])
            where = "" if point is None else f" at {heading(result, point)}"
            yield (f"{result['labels'][contestant]} beside {result['labels'][other]}{where}: "
                   f"**{found['median']:.2f}×** ({found['min']:.2f} to {found['max']:.2f})")


def against(result):
    """Ours beside the same of the other commit: a table, a row for each point and contestant."""
    cells = {(r["contestant"], r["point"], r["metric"]): r["samples"] for r in result["figures"]}
    metrics = {k: v for k, v in result["metrics"].items() if v[2] != "info"}
    rows, count = [], 0
    for point in result["points"]:
        for contestant, label in result["labels"].items():
            found = [pairs(cells.get((contestant, point, metric), []),
                           cells.get((contestant + SUFFIX, point, metric), []))
                     for metric in metrics]
            if not any(found):
                continue
            count = max(count, *(each["count"] for each in found if each))
            first = label if point is None else f"{label}, {heading(result, point)}"
            rows.append("| " + " | ".join([first, *map(said_of_pairs, found)]) + " |")
    if not rows:
        return []
    head = ["", *(title for title, _, _ in metrics.values())]
    meant = ("in brackets its 95 % interval" if interval(range(count)) else
             "in brackets the least and the greatest: fewer than 6 pairs have no 95 % interval")
    return [f"Today's beside {result['against']}: the median of the ratios of {count} interleaved "
            f"pairs; {meant}.", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head), *rows]


def said_of_pairs(found):
    if found is None:
        return ""
    low, high = found["interval"] or (found["min"], found["max"])
    return f"**{found['median']:.3f}×** ({low:.3f} to {high:.3f})"


def section(result):
    measured = result["measured"]
    lines = [f"## {result['title']}", "", result["question"], ""]
    lines += table(result)
    charted = [f"![chart]({result['scenario']}.{suffix}.svg)" for suffix, _ in draw(result)]
    lines += ["", *charted, ""]
    if twins := against(result):
        lines += [*twins, ""]
    parameters = ", ".join(f"{name} {value:,}" if type(value) is int else f"{name} {value}"
                           for name, value in result["parameters"].items())
    rounds = measured["rounds"]
    lines.append(f"`tools/bench {result['scenario']}{' --quick' if measured['quick'] else ''}`, "
                 f"{measured['when']}, commit {measured['commit']}. "
                 f"{f'{rounds} interleaved rounds' if rounds > 1 else 'One round'}; median (least "
                 "to greatest) · ratio to the baseline, the median of the rounds' own. "
                 f"{parameters}.")
    lines += [""] + [f"- {note}" for note in [*beside(result), *winners(result), *result["notes"]]]
    return lines + [""]


def conditions(measured):
    machine, server = measured["machine"], measured["server"]
    settings = ", ".join(f"{k} = {v}" for k, v in server["settings"].items())
    peers = ", ".join(f"{k} {v}" for k, v in measured["peers"].items()) or "none"
    return (f"{machine['cpus']} CPUs ({machine['cpu']}), {machine['memory_gib']} GiB, "
            f"{machine['system']}, Linux {machine['kernel']}, files on {machine['file_system']}, "
            f"load before {machine['load_before']}. PostgreSQL {server['version']} over a unix "
            f"socket: {settings}; a commit of one row takes {server['one_row_commit_us']} µs. "
            f"Peers: {peers}.")


def write_page(folder):
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    results.sort(key=lambda r: r["order"])
    lines = ["# Results of the benchmark", "",
             "Written by `tools/bench`; no figure is by hand. What each scenario measures and how "
             "to read it: `bench/README.md`.", ""]
    by_conditions = {}
    for result in results:
        by_conditions.setdefault(conditions(result["measured"]), []).append(result["scenario"])
    for text, names in by_conditions.items():
        lines += [f"**Measured on** ({', '.join(names)}): {text}", ""]
    for result in results:
        lines += section(result)
    (folder / PAGE).write_text("\n".join(lines).rstrip() + "\n")

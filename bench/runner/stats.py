"""Figures from samples. Everything printed goes through here."""
import math
import statistics


def percentile(values, share):
    """The smallest value that at least `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(samples):
    """Median and spread of a figure's samples, one a round."""
    middle = statistics.median(samples)
    spread = (max(samples) - min(samples)) / middle if middle else 0.0
    return {"samples": samples, "median": middle, "min": min(samples), "max": max(samples),
            "spread": spread}


def ratio(samples, baseline):
    """The median of the ratios round by round: what slowed a whole round cancels out."""
    pairs = [a / b for a, b in zip(samples, baseline) if b]
    if not pairs:
        return None
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}


def latency(values_ms):
    return {"p50": percentile(values_ms, 0.5), "p99": percentile(values_ms, 0.99),
            "p99.9": percentile(values_ms, 0.999), "worst": max(values_ms)}


def histogram(values, per_decade=8):
    """Counts by buckets of equal width on a logarithmic scale: [(lower bound, count)]."""
    counts = {}
    for value in values:
        bucket = math.floor(math.log10(max(value, 1e-3)) * per_decade)
        counts[bucket] = counts.get(bucket, 0) + 1
    if not counts:
        return []
    return [(10 ** (b / per_decade), counts.get(b, 0)) for b in range(min(counts), max(counts) + 1)]


def figures(samples, baseline, plain=()):
    """From {(contestant, point, metric): [a sample a round]} to rows with ratios. `baseline` is
    {"contestant": name} (the same point and metric of another), {"point": p} (the same contestant
    and metric at another point), or both. `plain` metrics are said for information: no ratio."""
    rows = []
    for (contestant, point, metric), values in samples.items():
        other = (baseline.get("contestant", contestant), baseline.get("point", point), metric)
        row = {"contestant": contestant, "point": point, "metric": metric} | summary(values)
        compared = other in samples and metric not in plain
        row["ratio"] = ratio(values, samples[other]) if compared else None
        row["is_baseline"] = compared and other == (contestant, point, metric)
        rows.append(row)
    return rows


def short(number):
    """Three significant digits, for people: 12300 -> 12,300; 0.01234 -> 0.0123."""
    if number == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(number)))
    rounded = round(number, digits)
    return f"{rounded:,.{max(0, digits)}f}"

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


def interval(values, confidence=0.95):
    """Where the median of what they were drawn from lies with this confidence at least: two of the
    values (order statistics), so nothing is assumed of how they are spread. None when they are too
    few: 6 are needed for 95 %."""
    ordered, count = sorted(values), len(values)
    # As many of them as possible are left out on either side; `beyond` is how likely the median
    # lies outside then.
    out, beyond = 0, 2 * 0.5 ** count
    if count == 0 or beyond > 1 - confidence:
        return None
    while beyond + 2 * math.comb(count, out + 1) * 0.5 ** count <= 1 - confidence:
        out += 1
        beyond += 2 * math.comb(count, out) * 0.5 ** count
    return ordered[out], ordered[count - 1 - out]


def pairs(samples, others):
    """Ratios round by round of two that are measured in turn: their median with its interval."""
    found = [a / b for a, b in zip(samples, others) if b]
    if not found:
        return None
    return {"median": statistics.median(found), "min": min(found), "max": max(found),
            "count": len(found), "interval": interval(found)}


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

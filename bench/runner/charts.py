"""SVG charts, drawn with nothing but text: bars, lines over time, histograms."""
import html
import math

COLOURS = ["#2b6cb0", "#dd6b20", "#2f855a", "#b83280", "#718096", "#d69e2e", "#319795", "#9b2c2c"]
WIDTH, LEFT, RIGHT = 860, 270, 90


def _svg(height, parts, title):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{html.escape(title)}</text>',
        *parts, "</svg>", ""])


def bars(title, groups, short):
    """`groups`: [(heading or None, [(label, colour index, median, min, max)])]."""
    most = max((top for _, rows in groups for *_, top in rows), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    parts, y = [], 40
    for heading, rows in groups:
        if heading is not None:
            y += 16
            parts.append(f'<text x="12" y="{y}" font-weight="bold">{html.escape(heading)}</text>')
            y += 6
        for label, colour, median, least, top in rows:
            middle = y + 11
            parts += [
                f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">'
                f"{html.escape(label)}</text>",
                f'<rect x="{LEFT}" y="{y + 2}" width="{max(1, median * scale):.1f}" height="18" '
                f'fill="{COLOURS[colour % len(COLOURS)]}"/>',
                # From the least to the greatest of the rounds.
                f'<path d="M{LEFT + least * scale:.1f} {middle} H{LEFT + top * scale:.1f}" '
                'stroke="#222" stroke-width="1.5"/>',
                f'<text x="{LEFT + top * scale + 6:.1f}" y="{middle + 4}">{short(median)}</text>']
            y += 23
        y += 4
    return _svg(y + 10, parts, title)


def _axes(top, height, bottom_label, most, short):
    left = 80
    parts = []
    for i in range(5):
        value, y = most * i / 4, top + height - height * i / 4
        parts += [f'<path d="M{left} {y:.1f} H{WIDTH - 30}" stroke="#ddd"/>',
                  f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>']
    parts.append(f'<text x="{WIDTH / 2}" y="{top + height + 34}" text-anchor="middle">'
                 f'{html.escape(bottom_label)}</text>')
    return left, parts


def _legend(labels, y):
    parts, x = [], 80
    for i, label in enumerate(labels):
        parts += [f'<rect x="{x}" y="{y - 9}" width="10" height="10" '
                  f'fill="{COLOURS[i % len(COLOURS)]}"/>',
                  f'<text x="{x + 14}" y="{y}">{html.escape(label)}</text>']
        x += 30 + 7 * len(label)
    return parts


def lines(title, series, bottom_label, short):
    """`series`: {label: [(x, y)]}, one chart from 0 up."""
    points = [p for line in series.values() for p in line]
    most_y = max((y for _, y in points), default=0) * 1.05 or 1
    low_x, most_x = min(x for x, _ in points), max(x for x, _ in points)
    top, height = 60, 220
    left, parts = _axes(top, height, bottom_label, most_y, short)
    across = (WIDTH - 30 - left) / ((most_x - low_x) or 1)
    for i in range(6):
        x = low_x + (most_x - low_x) * i / 5
        parts.append(f'<text x="{left + (x - low_x) * across:.1f}" y="{top + height + 16}" '
                     f'text-anchor="middle">{short(x)}</text>')
    for i, line in enumerate(series.values()):
        path = " ".join(f"{left + (x - low_x) * across:.1f},{top + height - height * y / most_y:.1f}"
                        for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke-width="2" '
                     f'stroke="{COLOURS[i % len(COLOURS)]}"/>')
    return _svg(top + height + 48, parts + _legend(series, 42), title)


def histogram(title, distributions, bottom_label, short):
    """`distributions`: {label: [(lower bound, count)]} on a logarithmic scale, as shares."""
    bounds = sorted({low for buckets in distributions.values() for low, _ in buckets})
    if not bounds:
        return _svg(60, [], title)
    first, last = math.log10(bounds[0]), math.log10(bounds[-1])
    shares = {label: [(low, count / (sum(c for _, c in buckets) or 1)) for low, count in buckets]
              for label, buckets in distributions.items()}
    most = max(share for buckets in shares.values() for _, share in buckets) * 1.05
    top, height = 60, 220
    left, parts = _axes(top, height, bottom_label, most * 100, lambda v: f"{v:.0f} %")
    across = (WIDTH - 30 - left) / ((last - first) or 1)
    for power in range(math.floor(first), math.ceil(last) + 1):
        for step in (1, 2, 5):
            x = left + (power + math.log10(step) - first) * across
            if left <= x <= WIDTH - 30:
                parts.append(f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">'
                             f"{short(step * 10 ** power)}</text>")
    for i, buckets in enumerate(shares.values()):
        path = " ".join(f"{left + (math.log10(low) - first) * across:.1f},"
                        f"{top + height - height * share / most:.1f}" for low, share in buckets)
        parts.append(f'<polyline points="{path}" fill="none" stroke-width="2" '
                     f'stroke="{COLOURS[i % len(COLOURS)]}"/>')
    return _svg(top + height + 48, parts + _legend(shares, 42), title)

"""Draw what the profiles cost over the evidence that they keep, beside cutting blindly.

    python -m training.curve        # training/points.json -> docs/images/kompress-cost.svg

A point is: name, evidence kept in percent, cost of the input side against going direct, the same with every lost piece
asked for and paid.
"""

import json
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "images" / "kompress-cost.svg"
WIDTH, HEIGHT, LEFT, TOP, GAP = 400, 300, 60, 50, 70
LOW, HIGH = 0.55, 1.10
LEAST, MOST = 58.0, 101.5
OURS, BLIND = "#1a7f64", "#b4552d"


def picture(panels: dict[str, list[tuple[str, float, float, float]]]) -> str:
    """The whole picture: a panel for each kind of session."""
    width = LEFT + len(panels) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 90}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Input cost over evidence kept</title>",
        f'<rect width="{width}" height="{TOP + HEIGHT + 90}" fill="#ffffff"/>',
    ]
    for number, (title, points) in enumerate(panels.items()):
        parts += panel(LEFT + number * (WIDTH + GAP), title, points)
    below = TOP + HEIGHT + 62
    for at, colour, text in (
        (LEFT, OURS, "headroom's profiles"),
        (LEFT + 190, BLIND, "the beginning and the end of each output"),
    ):
        parts.append(f'<circle cx="{at}" cy="{below - 4}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{at + 10}" y="{below}">{escape(text)}</text>')
    said = "Filled: with every lost piece asked for and paid. Hollow: without. Lower is cheaper."
    parts.append(f'<text x="{LEFT}" y="{below + 20}" fill="#555555">{said}</text>')
    return "\n".join([*parts, "</svg>", ""])


def panel(left: int, title: str, points: list[tuple[str, float, float, float]]) -> list[str]:
    """Axes and points of one kind of session."""
    out = [f'<text x="{left}" y="{TOP - 18}" font-size="14" font-weight="bold">{escape(title)}</text>']
    for step in range(6, 12):
        y = high(step / 10)
        out.append(f'<line x1="{left}" y1="{y}" x2="{left + WIDTH}" y2="{y}" stroke="#dddddd"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{step / 10:.1f}</text>')
    for share in range(60, 101, 10):
        out.append(f'<text x="{across(left, share)}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{share} %</text>')
    out.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">evidence kept</text>')
    for name, kept, cost, paid in points:
        colour = BLIND if name.startswith("first and last") else OURS
        x, full, bare = across(left, kept), high(paid), high(cost)
        out.append(f'<line x1="{x}" y1="{full}" x2="{x}" y2="{bare}" stroke="{colour}" stroke-dasharray="2 2"/>')
        out.append(f'<circle cx="{x}" cy="{bare}" r="3.5" fill="#ffffff" stroke="{colour}"/>')
        said = escape(f"{name}: {kept} % kept, {cost} ({paid})")
        out.append(f'<circle cx="{x}" cy="{full}" r="4" fill="{colour}"><title>{said}</title></circle>')
    return out


def across(left: int, kept: float) -> float:
    """Where a share of evidence stands."""
    return round(left + (kept - LEAST) / (MOST - LEAST) * WIDTH, 1)


def high(cost: float) -> float:
    """Where a cost stands."""
    return round(TOP + (HIGH - cost) / (HIGH - LOW) * HEIGHT, 1)


if __name__ == "__main__":
    PICTURE.write_text(picture(json.loads((HERE / "points.json").read_text(encoding="utf8"))), encoding="utf8")

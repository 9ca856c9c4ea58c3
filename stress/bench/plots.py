"""Draw the figures: `python plots.py figures.json FOLDER`, in the environment that has pygal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

PLOTS = {
    "drain-full": "Drained, 2 workers, FULL, results stored (tasks/s)",
    "drain-normal": "Drained, 2 workers, NORMAL, results stored (tasks/s)",
    "enqueue-full": "Enqueued, a commit each, FULL (calls/s)",
    "enqueue-normal": "Enqueued, a commit each, NORMAL (calls/s)",
    "latency-start-0.03-p50": "Enqueued → started, median (ms)",
}


def draw(figure: dict[str, Any], title: str) -> str:
    """A bar for each contender, from the least to the most of its rounds, the median as a dot."""
    style = CleanStyle(background="#ffffff", plot_background="#ffffff", font_family="sans-serif")
    # Without the script and the identifiers that differ from run to run: a plain drawing.
    chart = pygal.HorizontalBar(
        title=title, style=style, js=[], width=800, height=90 + 55 * len(figure["spread"]), print_values=True,
        legend_at_bottom=True, no_prefix=True, disable_xml_declaration=True, show_legend=False,
        value_formatter=lambda value: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}",
    )  # fmt: skip
    names = list(figure["spread"])[::-1]
    chart.x_labels = names
    chart.add("median", [figure["spread"][name]["median"] for name in names])
    drawing: str = chart.render(is_unicode=True)
    return drawing


def main() -> None:
    """Draw all that there is."""
    source, folder = map(Path, sys.argv[1:])
    figures = {figure["key"]: figure for figure in json.loads(source.read_text())["figures"]}
    folder.mkdir(parents=True, exist_ok=True)
    for key, title in PLOTS.items():
        if key in figures:
            drawing = draw(figures[key], title)
            (folder / f"{key}.svg").write_text(f"{drawing}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""A figure's traces in fewer kinds: bars on bars and waterfalls as bars that stand on a base."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

from ringfence.report.style import Figure


def plain(figure: Figure) -> list[Figure]:
    """Return the traces, each of a kind that stands for itself."""
    traces: list[Figure] = figure["data"]
    if figure["layout"].get("barmode") == "stack":
        return [*_stacked(traces)]
    return [
        one
        for trace in traces
        for one in (_waterfall(trace) if trace["type"] == "waterfall" else (trace,))
    ]


def _stacked(traces: Sequence[Figure]) -> Iterator[Figure]:
    """Yield bars that lie on one another, each with its base."""
    reached: dict[str, float] = defaultdict(float)
    for trace in traces:
        bases = [reached[name] for name in trace["y"]]
        for name, length in zip(trace["y"], trace["x"], strict=True):
            reached[name] += length
        yield {**trace, "base": bases}


def _waterfall(trace: Figure) -> Iterator[Figure]:
    """Yield a bar for each step: from 0 where it is a total, else from where the last one ended."""
    level = 0.0
    for name, kind, value in zip(trace["x"], trace["measure"], trace["y"], strict=True):
        whole = kind != "relative"
        side = "totals" if whole else "increasing" if value >= 0 else "decreasing"
        yield {
            **{key: trace[key] for key in ("showlegend", "xaxis", "yaxis") if key in trace},
            "type": "bar", "name": "", "x": [name], "y": [value],
            "base": [0.0 if whole else level], "marker": trace[side]["marker"],
        }  # fmt: skip
        level = value if whole else level + value


def unbroken(trace: Figure) -> Iterator[Figure]:
    """Yield the parts of a line between which there is nothing."""
    pairs = zip(trace["x"], trace["y"], strict=True)
    for there, run in groupby(pairs, key=lambda pair: None not in pair):
        if there:
            x, y = zip(*run, strict=True)
            yield {**trace, "x": x, "y": y}

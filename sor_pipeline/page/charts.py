"""Charts: small Vega-Lite specifications, drawn to SVG here, coloured by the page's own style sheet.

Belongs here: marks, scales and axes. Does not: what is charted (`trends`).

A chart's legend is HTML beside it, so that it wraps; its numbers stand in a table below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from sor_pipeline.errors import Fault, SettingsError

Row = Mapping[str, Any]
Spec = dict[str, Any]
WIDTH, HEIGHT = 350, 150
FEW = 12
"""Publications up to which each has its number below the axis."""
_GRAMMAR = "https://vega.github.io/schema/vega-lite/v5.json"
_GRAMMAR_VERSION = "5.20"
_VIEW_BOX = re.compile(r'viewBox="([^"]+)"')
_INNER_ID = re.compile(r'(\bid="|url\(#|href="#)')
_PLAIN = re.compile(r' (?:aria-[a-z]+|role|font-family|class|pointer-events)="[^"]*"')
"""Fonts are the page's, and what Vega says to screen readers is said once, by title and description."""
_QUIET = {
    "domain": False,
    "ticks": False,
    "labelColor": "var(--dim)",
    "titleColor": "var(--dim)",
    "labelFontSize": 11,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
    "gridColor": "var(--line)",
    "labelFontWeight": "normal",
}
_CONFIG: Spec = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": _QUIET,
    "bar": {"discreteBandSize": {"band": 0.72}},
}


@dataclass(frozen=True)
class Series:
    """One colour of a chart: the value in its rows, what people call it, and the style sheet's variable."""

    value: str
    title: str
    colour: str


def bars(rows: Sequence[Row], x: str, title: str, series: Sequence[Series]) -> Spec:
    """Stacked bars over whole numbers `x`; rows hold `x`, `series` and `number`."""
    return {
        "mark": {"type": "bar"},
        "data": {"values": list(rows)},
        "encoding": {
            "x": _numbered(rows, x, title),
            "y": _counted(),
            "color": _coloured(series),
            "order": {"field": "place"},
        },
    }


def areas(rows: Sequence[Row], x: str, title: str, series: Sequence[Series]) -> Spec:
    """Stacked areas; one publication alone is a bar, for an area of one point is nothing."""
    if len({row[x] for row in rows}) < 2:
        return bars(rows, x, title, series)
    spec = bars(rows, x, title, series)
    return {**spec, "mark": {"type": "area", "line": True, "fillOpacity": 0.75}}


def lines(rows: Sequence[Row], x: str, title: str, series: Sequence[Series]) -> Spec:
    """A line per series, with a point at each number."""
    encoding = {"x": _numbered(rows, x, title), "y": _counted(), "color": _coloured(series)}
    mark = {"type": "line", "strokeWidth": 2, "point": {"size": 22, "filled": True}}
    return {"mark": mark, "data": {"values": list(rows)}, "encoding": encoding}


def strip(rows: Sequence[Row], names: Sequence[str]) -> Spec:
    """A row per name with a mark at each moment `at` (milliseconds); `late` rows in another colour."""
    y = {
        "field": "name",
        "type": "nominal",
        "sort": list(names),
        "title": None,
        "axis": {"grid": False, "labelLimit": 150, "labelPadding": 8, "labelFontSize": 10},
        "scale": {"domain": list(names)},
    }
    x = {
        "field": "at",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc", "padding": 8},
        "axis": {"tickCount": 4, "labelOverlap": "greedy", "labelSeparation": 10, "format": "%b %-d"},
    }
    colour = {
        "field": "late",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": [False, True], "range": ["var(--c1)", "var(--bad)"]},
    }
    mark = {"type": "circle", "size": 34, "opacity": 0.9}
    height = {"step": 15}
    return {
        "mark": mark,
        "height": height,
        "data": {"values": list(rows)},
        "encoding": {"x": x, "y": y, "color": colour},
    }


def _numbered(rows: Sequence[Row], field: str, title: str) -> Spec:
    every = sorted({row[field] for row in rows})
    step = max(1, -(-len(every) // FEW))
    axis = {"labelAngle": 0, "grid": False, "values": every[::-1][::step][::-1]}
    return {"field": field, "type": "ordinal", "title": title, "axis": axis, "scale": {"domain": every}}


def _counted() -> Spec:
    return {
        "field": "number",
        "type": "quantitative",
        "title": None,
        "axis": {"tickCount": 4, "tickMinStep": 1, "format": "~s"},
    }


def _coloured(series: Sequence[Series]) -> Spec:
    scale = {"domain": [one.value for one in series], "range": [f"var(--{one.colour})" for one in series]}
    return {"field": "series", "type": "nominal", "legend": None, "scale": scale}


def drawn(spec: Spec, name: str, title: str, description: str) -> str:
    """The chart as an SVG element; `name` keeps its inner ids apart from those of other charts.

    Raises SettingsError without the extra `report`.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise SettingsError(
            Fault(
                "extra-missing",
                "",
                "charts need the extra `report`",
                "vl-convert-python is not installed",
                "sor-pipeline[report]",
                "pip install 'sor-pipeline[report]'",
            )
        ) from error
    whole = {
        "$schema": _GRAMMAR,
        "config": _CONFIG,
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 6, "right": 8, "top": 4, "bottom": 2},
        "autosize": {"type": "fit-x", "contains": "padding"},
        **spec,
    }
    svg = vl_convert.vegalite_to_svg(whole, vl_version=_GRAMMAR_VERSION, allowed_base_urls=[])
    box = _VIEW_BOX.search(svg)
    inner = _PLAIN.sub("", svg[svg.index(">") + 1 :])
    inner = _INNER_ID.sub(rf"\g<1>{name}-", inner)
    head = f'<svg viewBox="{box[1] if box else ""}" role="img" aria-labelledby="{name}-title {name}-desc">'
    said = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return f"{head}{said}{inner}"


def spark(numbers: Sequence[int]) -> str:
    """Points of a polyline in a box of 100 by 24, from 0 to the largest number."""
    top, last = max(*numbers, 1) if len(numbers) > 1 else 1, max(len(numbers) - 1, 1)
    return " ".join(f"{2 + 96 * i / last:.1f},{22 - 20 * number / top:.1f}" for i, number in enumerate(numbers))

"""Properties with dotted names as the mappings that tools expect: `user_fields.plan`, `metadata.plan`.

Belongs here: nesting for JSON and for forms. Does not: any tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        place = whole
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return whole


def form(values: Mapping[str, str]) -> dict[str, str]:
    """`{"metadata.plan": "x"}` as `{"metadata[plan]": "x"}`."""
    named = {}
    for name, value in values.items():
        first, *below = name.split(".")
        named[first + "".join(f"[{part}]" for part in below)] = value
    return named

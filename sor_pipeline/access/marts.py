"""Which columns of the marts are declared to hold nothing personal, by dbt's manifest; where it is silent, none.

Belongs here: reading that. Does not: building marts (`observe.marts`).
"""

from __future__ import annotations

import json

from sor_pipeline.access.wanted import Columns
from sor_pipeline.settings import Settings
from sor_pipeline.tables import MARTS


def open_columns(settings: Settings, there: Columns) -> dict[str, tuple[str, ...]]:
    """Mart and its columns that are described in the project and not marked `personal` there."""
    manifest = settings.dbt / "target" / "manifest.json"
    if not manifest.exists() or not any(schema == MARTS for schema, _ in there):
        return {}
    found = {}
    for node in json.loads(manifest.read_text(encoding="utf-8")).get("nodes", {}).values():
        where = (MARTS, node.get("alias") or node.get("name"))
        if node.get("resource_type") == "model" and where in there:
            described = node.get("columns") or {}
            shown = (name for name in there[where] if name in described and not _personal(described[name]))
            found[where[1]] = tuple(shown)
    return found


def _personal(column: dict[str, object]) -> bool:
    places = (column.get("meta"), (column.get("config") or {}).get("meta"))  # type: ignore[attr-defined]
    return any(isinstance(meta, dict) and meta.get("personal") for meta in places)

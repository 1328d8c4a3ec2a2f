"""Columns of JSON objects, opened: one column per path, named as the document names it (`address.city`).

Belongs here: paths into cells. Does not: lists (they stay one cell).
"""

from __future__ import annotations

import json
from dataclasses import replace

from sor_pipeline.ownership.scaffold.sample import Cells, Part

_DEEPEST = 3
_MOST_PATHS = 40


def opened(parts: tuple[Part, ...], depth: int = 1) -> tuple[Part, ...]:
    """The parts with every column of objects replaced by the columns inside it; those with too many keys stay whole."""
    names = dict.fromkeys(name for part in parts for name in part.cells)
    found = {name: paths for name in names if (paths := _paths(name, parts))}
    clear = {name: paths for name, paths in found.items() if not any(f"{name}.{path}" in names for path in paths)}
    if not clear or depth > _DEEPEST:
        return parts
    return opened(tuple(replace(part, cells=_cells(part, clear)) for part in parts), depth + 1)


def _paths(name: str, parts: tuple[Part, ...]) -> tuple[str, ...]:
    """Keys of the objects in a column; none where it holds anything else."""
    texts = [text for part in parts for text in part.cells.get(name, ()) if text]
    if not texts or not all(text.startswith("{") for text in texts):
        return ()
    objects = [_object(text) for text in texts]
    if any(found is None for found in objects):
        return ()
    keys = dict.fromkeys(key for found in objects for key in found or ())
    good = all(key and "." not in key and len(key) <= 100 and key.isprintable() for key in keys)
    return tuple(keys) if good and len(keys) <= _MOST_PATHS else ()


def _cells(part: Part, paths: dict[str, tuple[str, ...]]) -> dict[str, Cells]:
    cells: dict[str, Cells] = {}
    for name, column in part.cells.items():
        if name not in paths:
            cells[name] = column
            continue
        objects = [_object(text) or {} for text in column]
        for key in paths[name]:
            cells[f"{name}.{key}"] = tuple(_text(found.get(key)) for found in objects)
    return cells


def _object(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text, parse_int=str, parse_float=str) if text else {}
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

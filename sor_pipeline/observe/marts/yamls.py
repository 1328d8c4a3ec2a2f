"""YAML for dbt: as text that dbt reads as it is meant.

Belongs here: braces that dbt would take for Jinja, and the layout. Does not: what is said (`sources`, `dims`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import yaml

GENERATED = "Generated from the ownership document by `sor marts`; change the document instead."
_JINJA = ("{{", "{%", "{#")


class _Dumper(yaml.SafeDumper):
    """Names of columns are texts too."""


_Dumper.add_multi_representer(str, lambda dumper, text: dumper.represent_str(str(text)))


def document(content: Mapping[str, Any]) -> str:
    """One YAML file."""
    text = yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)
    return f"# {GENERATED}\n{text}"


def plain(text: str) -> str:
    """Words in which dbt finds no Jinja."""
    for opening in _JINJA:
        text = text.replace(opening, f"{opening[0]} {opening[1]}")
    return " ".join(text.split())


def has_jinja(texts: Sequence[str]) -> bool:
    return any(opening in text for text in texts for opening in _JINJA)


def column(described: sa.Column[Any], *, personal: bool = False, tests: Sequence[Any] = ()) -> dict[str, Any]:
    """One column's entry."""
    entry: dict[str, Any] = {"name": described.name, "description": plain(described.comment or "")}
    if personal:
        entry["config"] = {"meta": {"personal": True}}
    if tests:
        entry["data_tests"] = list(tests)
    return entry


def unique_together(columns: Sequence[str]) -> dict[str, Any]:
    return {"unique_together": {"arguments": {"columns": list(columns)}}}

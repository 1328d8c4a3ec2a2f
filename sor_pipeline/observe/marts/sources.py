"""The conformed tables as dbt sources: every table, column, comment, and what can be promised of it.

Belongs here: `models/conformed/sources.yml`. Does not: models.

A test is an error where publishing cannot have let it through: grains, ids, codes that are held, what
blocks. Where the document only warns, so does dbt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from sor_pipeline.observe.marts import yamls
from sor_pipeline.ownership.entity import Field, Severity
from sor_pipeline.tables import Tables, grain

SOURCE = "conformed"
_DATABASE = "{{ 'conformed' if target.type == 'duckdb' else target.database }}"
_SCHEMA = "{{ 'main' if target.type == 'duckdb' else 'conformed' }}"


def sources_yaml(tables: Tables) -> str:
    """`models/conformed/sources.yml`: one source, all conformed tables in it."""
    published = [table for table in tables.metadata.tables.values() if table.schema == SOURCE]
    source = {
        "name": SOURCE,
        "description": "The conformed tables, as `sor run` publishes them: all of them change in one atomic step.",
        "database": _DATABASE,
        "schema": _SCHEMA,
        "tables": [_table(tables, table) for table in sorted(published, key=lambda one: one.name)],
    }
    return yamls.document({"sources": [source]})


def _table(tables: Tables, table: sa.Table) -> dict[str, Any]:
    entity = next((name for name, one in tables.conformed.items() if one is table), None)
    versions = next((name for name, one in tables.history.items() if one is table), None)
    about = entity or versions
    fields = tables.ownership.entities[about].fields if about else {}
    keys = [column.name for column in grain(table)]
    entry: dict[str, Any] = {"name": table.name, "description": yamls.plain(table.comment or "")}
    if len(keys) > 1:
        entry["data_tests"] = [yamls.unique_together(keys)]
    entry["columns"] = [
        yamls.column(
            column,
            personal=column.name in fields and fields[column.name].personal,
            tests=[
                *(["unique", "not_null"] if keys == [column.name] else []),
                *(_tests(fields[column.name]) if entity and column.name in fields else []),
            ],
        )
        for column in table.columns
    ]
    return entry


def _tests(field: Field) -> Iterator[Any]:
    """What the document declares of a published field. (A held cell that was never good is published blank.)"""
    severity = field.severity
    if field.required:
        yield {"not_null": _config(severity.required is Severity.block)}
    if field.unique:
        yield {"unique": _config(severity.unique is Severity.block)}
    if isinstance(field.of, tuple) and not yamls.has_jinja(field.of):
        codes = [code.replace("'", "''") for code in field.of]
        yield {"accepted_values": {"arguments": {"values": codes}, **_config(severity.of is not Severity.warn)}}
    if field.to is not None:
        target = {"to": f"source('{SOURCE}', '{field.to}')", "field": f"{field.to}_id"}
        yield {"relationships": {"arguments": target, **_config(severity.ref is Severity.block)}}


def _config(promised: bool) -> dict[str, Any]:
    return {"config": {"severity": "error" if promised else "warn"}}

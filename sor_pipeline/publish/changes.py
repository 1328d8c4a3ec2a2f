"""The account of a publication: one row per cell that changed, or entity that came or went, and why.

Belongs here: `conformed.change` and the choice of a change's cause.
Does not: lineage that changed without its value; it is in `_source` only.

An entity that is created or revived is one row, not one per cell: its cells are the version in
`_history` that begins with the same publication.

The cause of a cell, the first that holds:
1. `release`: the cell was held and is not any more;
2. `decision`: an override speaks and did not, or another one did, or none does any more;
3. `claim`: the same record of the same system speaks, and its claim changed (`since` differs);
4. `reference`: the same claim speaks, but the entity that it refers to is another;
5. `deletion`: another record speaks, and a record of the entity was deleted;
6. `identity`: another record speaks, and a record joined the entity or moved from or to another;
7. `summary`: the rows from which it is counted changed, or left its window of time;
8. `rule`: the ownership document changed, or time passed the field's `stale_after`;
9. `claim`: another claim won.
Of an entity: `identity` where records moved between entities, else `release` or `deletion`, else `claim`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ledger import DECISION
from sor_pipeline.ownership.summary import RULE
from sor_pipeline.publish.candidate import HELD, LINEAGE
from sor_pipeline.publish.difference import ENTERS
from sor_pipeline.tables import NO_FIELD, Tables

_RULES = ("rule", "staleness")


def spelled(value: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """A stored value as text; for the six stored types the engines agree on this spelling."""
    return sa.cast(value, sa.Text)


def cell_changes(tables: Tables, entity: str, rows: sa.Table, number: int, new_document: bool) -> Rows:
    """Grain: one cell whose value changes; columns as `conformed.change`. Read before anything is written."""
    fields = tables.ownership.entities[entity].fields
    value, source = tables.conformed[entity], tables.sources[entity]
    listed = sa.values(sa.column("field", sa.Text), name="listed").data([(name,) for name in fields])

    def of_field(columns: dict[str, Any]) -> sa.ColumnElement[Any]:
        return sa.case(*((listed.c.field == name, column) for name, column in columns.items()))

    beside = (
        sa.select(
            rows.c.entity_id,
            rows.c._cause,
            rows.c._moved,
            rows.c._joined,
            rows.c._lost,
            sa.cast(listed.c.field, sa.Text).label("field"),
            of_field({n: spelled(value.c[n]) for n in fields}).label("old"),
            of_field({n: spelled(rows.c[n]) for n in fields}).label("new"),
            *(of_field({n: source.c[f"{n}_{p}"] for n in fields}).label(f"old_{p}") for p in LINEAGE),
            *(of_field({n: rows.c[f"{n}__{p}"] for n in fields}).label(f"new_{p}") for p in LINEAGE),
        )
        .select_from(
            rows.join(value, value.c[f"{entity}_id"] == rows.c.entity_id)
            .join(source, source.c[f"{entity}_id"] == rows.c.entity_id)
            .join(listed, sa.true())
        )
        .where(
            rows.c._kind == "changed",
            of_field({n: rows.c[n].is_distinct_from(value.c[n]) for n in fields}),
        )
        .subquery("beside")
    )
    refs = [name for name, field in fields.items() if field.to is not None]
    return sa.select(
        sa.literal(number, sa.BigInteger).label("publication"),
        sa.literal(entity, sa.Text).label("entity"),
        beside.c.entity_id,
        beside.c.field,
        sa.literal("changed", sa.Text).label("kind"),
        beside.c.old,
        beside.c.new,
        _cause_of_cell(beside, refs, new_document).label("cause"),
        beside.c.new_system.label("system"),
    )


def _cause_of_cell(beside: sa.FromClause, refs: list[str], new_document: bool) -> sa.ColumnElement[str]:
    column = beside.c
    same = sa.and_(column.old_system == column.new_system, column.old_key == column.new_key)
    other = sa.not_(sa.func.coalesce(same, sa.false()))
    by_rule = sa.true() if new_document else column._cause.in_(_RULES)
    return sa.case(
        (sa.and_(column.old_rule == HELD, column.new_rule.is_distinct_from(HELD)), "release"),
        (sa.and_(other, sa.or_(column.old_rule == DECISION, column.new_rule == DECISION)), "decision"),
        (sa.and_(same, column.old_since.is_distinct_from(column.new_since)), "claim"),
        (sa.and_(same, column.field.in_(refs)), "reference"),
        (sa.and_(other, column._lost), "deletion"),
        (sa.and_(other, sa.or_(column._moved, column._joined)), "identity"),
        (column.new_rule == RULE, RULE),
        (by_rule, "rule"),
        else_="claim",
    )


def entity_changes(entity: str, rows: sa.Table, number: int) -> Rows:
    """Grain: one entity that comes, comes back or goes; columns as `conformed.change`."""
    nothing = sa.cast(None, sa.Text)
    cause = sa.case(
        (rows.c._moved, "identity"),
        (rows.c._kind == "retired", "deletion"),
        (rows.c._cause == "release", "release"),
        else_="claim",
    )
    return sa.select(
        sa.literal(number, sa.BigInteger).label("publication"),
        sa.literal(entity, sa.Text).label("entity"),
        rows.c.entity_id,
        sa.literal(NO_FIELD, sa.Text).label("field"),
        rows.c._kind.label("kind"),
        nothing.label("old"),
        nothing.label("new"),
        cause.label("cause"),
        nothing.label("system"),
    ).where(rows.c._kind.in_((*ENTERS, "retired")))

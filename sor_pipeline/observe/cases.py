"""What waits for a person: the selects behind `sor review`.

Belongs here: cases and the two records that each is about. Does not: cases about anything else
(`casebook`), opening and closing them (`identify`), deciding (`steward`).
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ledger import PAIR, in_force
from sor_pipeline.tables import Tables, claim

At = tuple[str, str]
"""A record: source and source key."""


def _waiting(tables: Tables) -> Expression:
    """About two records, open, and nobody has spoken since: a decision closes its case only with the next run."""
    case, force = tables.case, in_force(tables).subquery("force")
    decided = sa.exists().where(*(force.c[name] == case.c[name] for name in PAIR))
    return sa.and_(case.c.left_source.is_not(None), case.c.closed_in.is_(None), ~decided)


def waiting(tables: Tables, entity: str) -> Rows:
    """Grain: one open case of the entity that nobody has decided, strongest first.

    Besides the case's own columns what similarity says now about its two records (null where nothing).
    """
    case, pair = tables.case, tables.pair[entity]
    strength = sa.case((case.c.rule.like("linked:%"), 0), (case.c.rule.like("same:%"), 1), else_=2)
    ends = ("left_source", "left_key", "right_source", "right_key")
    weight = sa.func.coalesce(case.c.weight, pair.c.weight).label("weight")
    return (
        sa.select(
            case.c.case_id, case.c.entity, case.c.kind, *(case.c[name] for name in ends), case.c.rule, weight,
            pair.c.probability, pair.c.levels, pair.c.veto, case.c.evidence, case.c.opened_in,
        )
        .select_from(case.outerjoin(pair, sa.and_(*(case.c[name] == pair.c[name] for name in ends))))
        .where(case.c.entity == entity, _waiting(tables))
        .order_by(strength, weight.desc().nulls_last(), case.c.case_id)
    )  # fmt: skip


def by_kind(tables: Tables) -> Rows:
    """Grain: one entity and kind of open case about two records that nobody has decided, with their number."""
    case = tables.case
    return (
        sa.select(case.c.entity, case.c.kind, sa.func.count().label("open"))
        .where(_waiting(tables))
        .group_by(case.c.entity, case.c.kind)
        .order_by(case.c.entity, case.c.kind)
    )


def said(tables: Tables, source: str, keys: Iterable[str]) -> Rows:
    """Grain: one record of the source: its key and, per mapped field, value as text, comparable form and state.

    Columns `<field>`, `<field>__cmp`, `<field>__state`; `_key`, `_deleted_at`.
    """
    staged = tables.staged[source]
    columns: list[Expression] = [staged.c["_key"], staged.c["_deleted_at"]]
    for name in tables.ownership.sources[source].fields:
        says = claim(staged, name)
        columns += [
            sa.cast(says.value, sa.Text).label(name),
            sa.cast(says.compare, sa.Text).label(f"{name}__cmp"),
            says.state.label(f"{name}__state"),
        ]
    return sa.select(*columns).where(staged.c["_key"].in_(list(keys)))


def places(tables: Tables, entity: str, records: Iterable[At]) -> Rows:
    """Grain: one of these records that is identified: source, source_key, entity_id, and `records` of that entity."""
    known, others = tables.identity[entity], tables.identity[entity].alias("others")
    size = sa.select(sa.func.count()).where(others.c.entity_id == known.c.entity_id).scalar_subquery()
    return sa.select(known.c.source, known.c.source_key, known.c.entity_id, size.label("records")).where(
        sa.tuple_(known.c.source, known.c.source_key).in_(list(records))
    )

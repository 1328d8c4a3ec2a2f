"""When overrides end by themselves: their day is over, the owner spoke anew or agrees, the rules say the same.

Belongs here: judging it from the data and the run's time, before cells are resolved, and writing the end into the
ledger. Does not: what speaks meanwhile (`overrides`), ends that people put (`steward`).
"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ledger import DECISION, overrides_in_force
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.resolve.claims import claims
from sor_pipeline.resolve.overrides import Overrides, overrides, wanted
from sor_pipeline.resolve.said import said_by
from sor_pipeline.resolve.units import units
from sor_pipeline.run import Run
from sor_pipeline.tables import ClaimState, Tables, claim

CLEARED = ""
"""Stands for the owner's clearing where its word is kept as text; null is no word."""
_WATCHED = {"owner_changes": "owner_changed", "owner_agrees": "owner_agreed"}
"""Conditions that look at what the owner says, and the outcome of each."""
_REASONS = {
    "date": "its last day is over",
    "owner_changed": "the owner says something else than when it was set",
    "owner_agreed": "the owner says the same",
    "redundant": "the rules say the same",
}


def end_due(run: Run, connection: sa.Connection, entity: str, pending: int) -> None:
    """Write the ends of overrides of the entity whose condition holds now."""
    tables = run.tables
    force = overrides_in_force(tables).subquery("force")
    mine = sa.select(force).where(force.c.entity == entity)
    untils = set(connection.execute(sa.select(mine.subquery("mine").c.until).distinct()).scalars().all())
    if "date" in untils:
        over = sa.and_(force.c.until == "date", force.c.until_date <= (run.now - timedelta(days=1)).date())
        _end(run, connection, sa.select(force.c.number).where(force.c.entity == entity, over), "date", pending)
    if untils & set(_WATCHED):
        _end_by_owner(run, connection, entity, pending)


def end_redundant(run: Run, connection: sa.Connection, taken: Overrides | None, held: sa.Table, pending: int) -> None:
    """Write the ends of overrides that did not speak in `held`, the cells resolved now: the rules say the same."""
    if taken is None:
        return
    silent = [
        sa.select(taken.wide.c[f"{name}__over"].label("number"))
        .join(held, held.c.entity_id == taken.wide.c.entity_id)
        .where(taken.wide.c[f"{name}__over"].is_not(None), held.c[f"{name}__rule"].is_distinct_from(DECISION))
        for name in taken.fields
    ]
    united = sa.union_all(*silent).subquery("silent")
    _end(run, connection, sa.select(united.c.number), "redundant", pending)


def _end_by_owner(run: Run, connection: sa.Connection, entity: str, pending: int) -> None:
    taken = overrides(run, connection, entity)
    if taken is None:
        return
    ledger = run.tables.override
    pairs = sa.select(ledger.c.owner, ledger.c.field, ledger.c.until).distinct()
    watched = connection.execute(pairs.where(ledger.c.entity == entity, ledger.c.until.in_(_WATCHED))).fetchall()
    systems = run.ownership.systems_of(entity)
    for owner in sorted({row.owner for row in watched if row.owner in systems}):
        word = owners_word(run, connection, entity, owner, taken.wide)
        for row in watched:
            if row.owner == owner and row.field in taken.fields:
                rows = _judged(run.tables, entity, row.field, owner, row.until, taken, word)
                _end(run, connection, rows, _WATCHED[row.until], pending)


def owners_word(run: Run, connection: sa.Connection, entity: str, system: str, ids: sa.FromClause) -> sa.FromClause:
    """Grain: one of the entities `ids` of which the system has a live record: its `words`."""
    known = run.tables.identity[entity]
    records = sa.select(known.c.source, known.c.source_key, known.c.entity_id).where(
        known.c.entity_id.in_(sa.select(ids.c.entity_id))
    )
    about = run.engine.materialise(connection, f"watched_{entity}", records)
    sources = [name for name in run.ownership.sources_of(entity) if system_of(name) == system]
    said = {
        source: run.engine.materialise(connection, f"watched_{number}", claims(run.tables, source, about))
        for number, source in enumerate(sources)
    }
    word = said_by(run, connection, entity, system, units(run.ownership, entity), about, said)
    return run.engine.materialise(connection, "watched_word", sa.select(word))


def spoken(word: sa.FromClause, name: str) -> Expression:
    """The comparable form of what `owners_word` says about a field, as text."""
    says = claim(word, name)
    return sa.case(
        (says.state == int(ClaimState.value), sa.cast(says.compare, sa.Text)),
        (says.state == int(ClaimState.cleared), sa.literal(CLEARED, sa.Text)),
    )


def _judged(
    tables: Tables, entity: str, name: str, owner: str, until: str, taken: Overrides, word: sa.FromClause
) -> Rows:
    """Grain: one override about the field that ends by what the owner says."""
    ledger, wide = tables.override, taken.wide
    field = tables.ownership.entities[entity].fields[name]
    changed = spoken(word, name).is_distinct_from(ledger.c.owner_compare)
    over = changed if until == "owner_changes" else _agrees(wide, word, name, field)
    return (
        sa.select(ledger.c.number)
        .select_from(
            wide.join(ledger, ledger.c.number == wide.c[f"{name}__over"]).outerjoin(
                word, word.c.entity_id == wide.c.entity_id
            )
        )
        .where(ledger.c.until == until, ledger.c.owner == owner, over)
    )


def _agrees(wide: sa.FromClause, word: sa.FromClause, name: str, field: Field) -> sa.ColumnElement[bool]:
    says = claim(word, name)
    ours = wide.c[f"{name}__over_cmp"] if field.kind.folds else wanted(wide, name, field)
    cleared = sa.and_(wide.c[f"{name}__over_value"].is_(None), says.state == int(ClaimState.cleared))
    return sa.or_(cleared, sa.and_(says.state == int(ClaimState.value), says.compare == ours))


def _end(run: Run, connection: sa.Connection, numbers: Rows, outcome: str, pending: int) -> None:
    ledger = run.tables.override
    ended = run.engine.materialise(connection, "ended_override", numbers)
    last = sa.select(sa.func.coalesce(sa.func.max(ledger.c.number), 0)).scalar_subquery()
    number = last + sa.func.row_number().over(order_by=ledger.c.number)
    text = {"kind": "end", "by": "sor", "reason": _REASONS[outcome], "outcome": outcome}
    rows = sa.select(
        number.label("number"), ledger.c.number.label("ends"),
        *(ledger.c[name] for name in ("entity", "field", "source", "source_key")),
        *(sa.literal(words, sa.Text).label(name) for name, words in text.items()),
        sa.literal(run.now, sa.DateTime).label("at"), sa.literal(pending, sa.BigInteger).label("_publication"),
    ).where(ledger.c.number.in_(sa.select(ended.c.number)))  # fmt: skip
    connection.execute(sa.insert(ledger).from_select([c.name for c in rows.selected_columns], rows))

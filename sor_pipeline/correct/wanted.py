"""A target's claims beside the published values: what agrees, what must change, and to which text.

Belongs here: the comparison. Does not: earlier corrections (`receipts`), texts of a type (`inverse`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.correct.inverse import text_of
from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.tables import NO_FIELD, ClaimState, Tables, cell, claim

OPEN = ("proposed", "delivered")
PARTS = ("verdict", "wanted", "raw", "owner", "rule")
_BLANK = ""


@dataclass(frozen=True)
class Target:
    """A source that accepts corrections, and the fields of it that can be written back."""

    tables: Tables
    source: str

    @property
    def entity(self) -> str:
        return self.tables.ownership.sources[self.source].entity

    @property
    def fields(self) -> dict[str, Field]:
        """Accepted fields whose mapping can be read backwards."""
        ownership = self.tables.ownership
        spec, fields = ownership.sources[self.source], ownership.entities[self.entity].fields
        return {
            name: fields[name]
            for name in dict.fromkeys(spec.accepts)
            if name in spec.fields
            and inverts(fields[name], spec.fields[name]) is None
            and text_of(fields[name], spec.fields[name], sa.column(name)) is not None
            and (fields[name].to is None or ownership.referred_source(self.source, name))
        }

    def column(self, name: str) -> str:
        """The target's own column of a field."""
        return self.tables.ownership.sources[self.source].fields[name].columns[0]


def cells(target: Target, among: sa.FromClause | None) -> Rows:
    """Grain: one accepted cell of a live, published record that disagrees, or about which a correction is open.

    Columns source_key, entity_id, field, and `PARTS`: the verdict (`agrees`, `differs`, `held`, `waits`: held, and
    differs, `none`: not ours to correct, `inexpressible`: the target has no text for the value), the text that it
    should have, the one that it has, whose value it is and by which rule. Only the records `among`
    those of `touched`; None: all.
    """
    wide = _wide(target, among).subquery("wide")
    listed = sa.values(sa.column("field", sa.Text), name="listed").data([(name,) for name in target.fields])

    def of_field(part: str) -> sa.ColumnElement[Any]:
        return sa.case(*((listed.c.field == name, wide.c[f"{name}__{part}"]) for name in target.fields))

    worth = ("differs", "inexpressible", "waits")
    cell_of = (
        sa.select(
            wide.c.source_key,
            wide.c.entity_id,
            sa.cast(listed.c.field, sa.Text).label("field"),
            *(of_field(part).label(part) for part in PARTS),
        )
        .select_from(wide.join(listed, sa.true()))
        .where(sa.or_(wide.c._open, *(wide.c[f"{name}__verdict"].in_(worth) for name in target.fields)))
        .subquery("cell_of")
    )
    pending = unsettled_cells(target).subquery("pending")
    same = sa.and_(pending.c.source_key == cell_of.c.source_key, pending.c.field == cell_of.c.field)
    return sa.select(cell_of).where(sa.or_(cell_of.c.verdict.in_(worth), sa.exists().where(same).correlate(cell_of)))


def unsettled_cells(target: Target) -> Rows:
    """Grain: one correction that is open, or was refused and may be over."""
    table = target.tables.correction
    unsettled = table.c.state.in_((*OPEN, "refused"))
    return sa.select(table.c.source_key, table.c.field).where(table.c.source == target.source, unsettled)


def _wide(target: Target, among: sa.FromClause | None) -> Rows:
    """Grain: one live, published record; per accepted field the `PARTS`."""
    tables, entity = target.tables, target.entity
    says, holds, published = tables.staged[target.source], tables.canonical[entity], tables.conformed[entity]
    keys = crosswalk(target).subquery("keys") if among is None else among
    held, refused = _held(target).subquery("held"), _refused(target).subquery("refused")
    joined: sa.FromClause = (
        says.join(keys, keys.c.source_key == says.c._key)
        .join(published, published.c[f"{entity}_id"] == keys.c.entity_id)
        .join(holds, holds.c.entity_id == keys.c.entity_id)
        .outerjoin(held, held.c.entity_id == keys.c.entity_id)
        .outerjoin(refused, sa.and_(refused.c.batch == says.c._batch, refused.c.row == says.c._row))
    )
    columns: list[sa.ColumnElement[Any]] = []
    for name, field in target.fields.items():
        reference = _Reference(target, name, field) if field.to else None
        if reference:
            joined = reference.joined_to(joined, says, holds)
        shut = sa.func.coalesce(sa.or_(held.c[name], held.c._row), sa.false())
        trusted = sa.and_(sa.not_(shut), holds.c[name].is_not_distinct_from(published.c[name]))
        columns += _judged(target, name, says, holds, trusted, sa.func.coalesce(refused.c[name], sa.false()), reference)
    opened = says.c._key.in_(sa.select(unsettled_cells(target).subquery("opened").c.source_key))
    compared = sa.select(says.c._key.label("source_key"), keys.c.entity_id, opened.label("_open"), *columns)
    return compared.select_from(joined).where(says.c._deleted_at.is_(None))


def crosswalk(target: Target) -> Rows:
    """Grain: one published record of the target (source_key, entity_id)."""
    keys = target.tables.keys[target.entity]
    ident = keys.c[f"{target.entity}_id"]
    return sa.select(keys.c.source_key, ident.label("entity_id")).where(keys.c.source == target.source)


def _judged(
    target: Target,
    name: str,
    says: sa.FromClause,
    holds: sa.FromClause,
    trusted: sa.ColumnElement[bool],
    refused: sa.ColumnElement[bool],
    reference: _Reference | None,
) -> list[sa.ColumnElement[Any]]:
    field, mapping = target.fields[name], target.tables.ownership.sources[target.source].fields[name]
    said, held = claim(says, name), cell(holds, name)
    raw = said.raw if said.raw is not None else sa.cast(said.value, sa.Text)
    value_text = reference.wanted if reference else text_of(field, mapping, held.value)
    wanted = sa.case((held.value.is_(None), sa.literal(_BLANK, sa.Text)), else_=value_text)
    same = reference.same(held.value) if reference else _equal(said.compare, held.compare, field)
    agrees = sa.case(
        (held.value.is_(None), sa.func.coalesce(said.state, 0).in_((int(ClaimState.never), int(ClaimState.cleared)))),
        else_=sa.and_(said.state == int(ClaimState.value), sa.func.coalesce(same, sa.false()), sa.not_(refused)),
    )
    correctable = _correctable(target, name, held.system, held.rule)
    verdict = sa.case(
        (sa.and_(sa.not_(trusted), correctable, sa.not_(agrees)), "waits"),
        (sa.not_(trusted), "held"),
        (sa.not_(correctable), "none"),
        (agrees, "agrees"),
        (wanted.is_(None), "inexpressible"),
        (wanted == raw, "agrees"),
        else_="differs",
    )
    parts = {"verdict": verdict, "wanted": wanted, "raw": raw, "owner": held.system, "rule": held.rule}
    return [parts[part].label(f"{name}__{part}") for part in PARTS]


def _correctable(
    target: Target, name: str, system: sa.ColumnElement[str], rule: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Somebody spoke (a null that nobody said is no word), and it was not the target; nobody is told what
    stands in for its own word: not the owner, and no fallback that is asked before the one that spoke."""
    own = system_of(target.source)
    ruled = target.tables.ownership.rule_of(target.entity, name)
    owners = {ruled.owner, *(exception.owner for exception in ruled.exceptions)}
    stands_in: sa.ColumnElement[bool] = rule.in_(("fallback", "stale_owner"))
    if own not in owners:
        asked_later = ruled.fallback[ruled.fallback.index(own) + 1 :] if own in ruled.fallback else ()
        stands_in = sa.and_(stands_in, system.in_(asked_later)) if asked_later else sa.false()
    return sa.and_(rule.is_not(None), system.is_distinct_from(own), sa.not_(stands_in))


def _equal(one: sa.ColumnElement[Any], other: sa.ColumnElement[Any], field: Field) -> sa.ColumnElement[bool]:
    if field.tolerance and field.kind.stored in (Stored.decimal, Stored.integer):
        wide = sa.Numeric(38, 9)  # the difference of two numbers of 18 digits has 19
        apart = sa.func.abs(sa.cast(one, wide) - sa.cast(other, wide))
        return apart <= sa.cast(sa.literal(str(field.tolerance), sa.Text), sa.Numeric(18, 9))
    return one == other


class _Reference:
    """A field that holds another record's key: both sides of the crosswalk of the source that it refers to."""

    def __init__(self, target: Target, name: str, field: Field) -> None:
        to = str(field.to)
        keys = target.tables.keys[to]
        referred = target.tables.ownership.referred_source(target.source, name)
        self._name = name
        self._present = keys.alias(f"{name}__present")
        self._referred = referred
        self._id = self._present.c[f"{to}_id"]
        own = sa.select(keys.c[f"{to}_id"].label("entity_id"), sa.func.min(keys.c.source_key).label("source_key"))
        self._own = own.where(keys.c.source == referred).group_by(keys.c[f"{to}_id"]).subquery(f"{name}__own")

    def joined_to(self, joined: sa.FromClause, says: sa.FromClause, holds: sa.FromClause) -> sa.FromClause:
        present = sa.and_(self._present.c.source == self._referred, self._present.c.source_key == says.c[self._name])
        return joined.outerjoin(self._present, present).outerjoin(
            self._own, self._own.c.entity_id == holds.c[self._name]
        )

    @property
    def wanted(self) -> sa.ColumnElement[str]:
        """The target's own key of the entity; null where it does not know that entity."""
        return self._own.c.source_key

    def same(self, value: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return self._id == value


def _held(target: Target) -> Rows:
    """Grain: one entity of which something is held; per accepted field, and `_row`, whether it is."""
    table = target.tables.held
    flags = (sa.func.bool_or(table.c.field == name).label(name) for name in target.fields)
    whole = sa.func.bool_or(table.c.field == NO_FIELD).label("_row")
    return (
        sa.select(table.c.entity_id, whole, *flags).where(table.c.entity == target.entity).group_by(table.c.entity_id)
    )


def _refused(target: Target) -> Rows:
    """Grain: one row of a batch with a cell that could not be read; per accepted field whether it was it."""
    table = target.tables.reject
    flags = (sa.func.bool_or(table.c.field == name).label(name) for name in target.fields)
    return (
        sa.select(table.c.batch, table.c.row, *flags)
        .where(table.c.source == target.source)
        .group_by(table.c.batch, table.c.row)
    )

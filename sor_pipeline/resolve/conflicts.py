"""Claims that disagree with what holds.

Belongs here: the present disagreements of affected entities. Their opening and closing across
publications is `publish`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.rules import Take
from sor_pipeline.ownership.stewards import STEWARD
from sor_pipeline.tables import ClaimState, Tables, cell, claim

_FALLBACK = 10_000
"""Added to the code of a system whose value holds as a fallback."""
_DECIDED = 0
"""The code of a person's word: every claim that differs from it disagrees, the owner's too."""


def conflicts(tables: Tables, source: str, said: sa.FromClause, canonical: sa.FromClause) -> Rows | None:
    """Grain: one field of one live record of `source` that disagrees; columns as `canonical.conflict`.

    `said` holds the source's `claims`, `canonical` the present canonical rows of their entities. None
    where the source maps no field on which anybody could disagree. One scan of the records
    beside their canonical rows; only rows with a disagreement are unfolded into one row per field.
    """
    ownership = tables.ownership
    entity = ownership.sources[source].entity
    fields = ownership.entities[entity].fields
    judged = [name for name in ownership.sources[source].fields if fields[name].take != Take.all]
    if not judged:
        return None
    systems = _codes(tables, entity)
    held = _narrowed(canonical, judged, source, systems)
    kinds = {name: _kind(said, held, name, fields[name], systems[system_of(source)]) for name in judged}
    beside = (
        sa.select(
            said,
            *(kind.label(f"{name}__kind") for name, kind in kinds.items()),
            *(held.c[name].label(f"{name}__held") for name in judged),
            *(held.c[f"{name}__by"].label(f"{name}__by") for name in judged),
        )
        .select_from(said.join(held, held.c.entity_id == said.c.entity_id))
        .subquery("beside")
    )
    listed = sa.values(sa.column("field", sa.Text), name="listed").data([(name,) for name in judged])
    parts = {
        name: (
            beside.c[f"{name}__kind"],
            _owner(tables, entity, beside.c[f"{name}__by"], name, systems),
            _claimed(beside, name),
            sa.cast(beside.c[f"{name}__held"], sa.Text),
        )
        for name in judged
    }

    def of_field(part: int) -> Expression:
        return sa.case(*((listed.c.field == name, columns[part]) for name, columns in parts.items()))

    return (
        sa.select(
            sa.literal(entity, sa.Text).label("entity"),
            beside.c.entity_id,
            sa.cast(listed.c.field, sa.Text).label("field"),
            sa.literal(source, sa.Text).label("source"),
            beside.c._key.label("source_key"),
            of_field(0).label("kind"),
            sa.literal(system_of(source), sa.Text).label("system"),
            of_field(1).label("owner"),
            of_field(2).label("claimed"),
            of_field(3).label("canonical"),
        )
        .select_from(beside.join(listed, sa.true()))
        .where(of_field(0).is_not(None))
    )


def _codes(tables: Tables, entity: str) -> dict[str, int]:
    """A number for each system, so that a row carries digits instead of names through the join."""
    return {system: number for number, system in enumerate(tables.ownership.systems_of(entity), 1)}


def _narrowed(canonical: sa.FromClause, names: Sequence[str], source: str, systems: Mapping[str, int]) -> sa.Subquery:
    """Canonical rows with no more than the comparison with one source needs: a join costs what it carries.

    Per field the value, `__cmp` if it folds, `__by` (code of the system that says it, FALLBACK added where that was
    its rule, null where nobody does) and `__mine`, the key of the deciding record if it is one of `source`.
    """
    columns: list[Expression] = [canonical.c.entity_id]
    for name in names:
        holds = cell(canonical, name)
        folded = [holds.compare] if f"{name}__cmp" in canonical.c else []
        by = sa.case(
            *((holds.system == system, code) for system, code in systems.items()), (holds.system == STEWARD, _DECIDED)
        )
        fallback = sa.case((holds.rule == "fallback", _FALLBACK), else_=0)
        columns += [holds.value, *folded, (by + fallback).label(f"{name}__by")]
        columns.append(sa.case((holds.source == source, holds.key)).label(f"{name}__mine"))
    return sa.select(*columns).subquery("held")


def _kind(said: sa.FromClause, held: sa.FromClause, name: str, field: Field, system: int) -> Expression:
    """Null where the claim agrees, says nothing, or is the one that decided."""
    says, by = claim(said, name), held.c[f"{name}__by"]
    value, compare = held.c[name], held.c.get(f"{name}__cmp", held.c[name])
    decides = sa.func.coalesce(held.c[f"{name}__mine"] == said.c._key, sa.false())
    has_value = says.state == int(ClaimState.value)
    speaks = says.state.in_((int(ClaimState.value), int(ClaimState.cleared)))
    whens: list[tuple[sa.ColumnElement[bool], str]] = []
    if f"{name}__ref" in said.c:
        whens.append((sa.and_(said.c[f"{name}__ref"].is_not(None), says.value.is_(None)), "dangling_reference"))
    differs = sa.and_(sa.not_(decides), speaks, _differ(says.compare, compare, field))
    whens += [
        (sa.and_(decides, by > _FALLBACK, has_value), "missing_at_owner"),
        (sa.and_(by.is_(None), value.is_(None), has_value), "missing_at_owner"),
        (sa.and_(differs, by.in_((system, system + _FALLBACK))), "owner_disagrees_with_itself"),
        (differs, "differs"),
    ]
    return sa.case(*whens)


def _differ(one: Expression, other: Expression, field: Field) -> sa.ColumnElement[bool]:
    """Comparable forms differ; numbers by more than the field's tolerance."""
    if field.tolerance and field.kind.stored in (Stored.decimal, Stored.integer):
        wide = sa.Numeric(38, 9)  # the difference of two numbers of 18 digits has 19
        far = sa.func.abs(sa.cast(one, wide) - sa.cast(other, wide)) > sa.literal(field.tolerance, sa.Numeric(18, 9))
        return sa.or_(far, one.is_(None) != other.is_(None))
    return one.is_distinct_from(other)


def _claimed(said: sa.FromClause, name: str) -> Expression:
    """The claim as text; a reference that points nowhere as it was delivered."""
    text = sa.cast(claim(said, name).value, sa.Text)
    return sa.func.coalesce(text, said.c[f"{name}__ref"]) if f"{name}__ref" in said.c else text


def _owner(tables: Tables, entity: str, by: Expression, name: str, systems: Mapping[str, int]) -> Expression:
    """The system whose value holds; where nobody spoke, the one that should have; for a fallback too."""
    rule = tables.ownership.rule_of(entity, name)
    named = [(by == code, sa.literal(system, sa.Text)) for system, code in systems.items()]
    named.append((by == _DECIDED, sa.literal(STEWARD, sa.Text)))
    if rule.owner is not None:
        return sa.case(*named, else_=sa.literal(rule.owner, sa.Text))
    fallbacks = [(by == code + _FALLBACK, sa.literal(system, sa.Text)) for system, code in systems.items()]
    return sa.case(*named, *fallbacks)

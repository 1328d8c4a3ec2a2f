"""Claims that disagree with what holds.

Belongs here: the present disagreements of affected entities. Their opening and closing across
publications is `publish`'s business.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.rules import Take
from sor_pipeline.tables import ClaimState, Tables, cell, claim


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
    held = canonical.alias("held")
    kinds = {name: _kind(said, held, name, fields[name], source) for name in judged}
    beside = (
        sa.select(
            said,
            *(kind.label(f"{name}__kind") for name, kind in kinds.items()),
            *(cell(held, name).value.label(f"{name}__held") for name in judged),
            *(_owner(tables, entity, held, name).label(f"{name}__owner") for name in judged),
        )
        .select_from(said.join(held, held.c.entity_id == said.c.entity_id))
        .subquery("beside")
    )
    disagreeing = (
        sa.select(beside)
        .where(sa.or_(*(beside.c[f"{name}__kind"].is_not(None) for name in judged)))
        .subquery("disagreeing")
    )
    listed = sa.values(sa.column("field", sa.Text), name="listed").data([(name,) for name in judged])
    parts = {
        name: (
            disagreeing.c[f"{name}__kind"],
            disagreeing.c[f"{name}__owner"],
            _claimed(disagreeing, name),
            sa.cast(disagreeing.c[f"{name}__held"], sa.Text),
        )
        for name in judged
    }

    def of_field(part: int) -> Expression:
        return sa.case(*((listed.c.field == name, columns[part]) for name, columns in parts.items()))

    return (
        sa.select(
            sa.literal(entity, sa.Text).label("entity"),
            disagreeing.c.entity_id,
            sa.cast(listed.c.field, sa.Text).label("field"),
            sa.literal(source, sa.Text).label("source"),
            disagreeing.c._key.label("source_key"),
            of_field(0).label("kind"),
            sa.literal(system_of(source), sa.Text).label("system"),
            of_field(1).label("owner"),
            of_field(2).label("claimed"),
            of_field(3).label("canonical"),
        )
        .select_from(disagreeing.join(listed, sa.true()))
        .where(of_field(0).is_not(None))
    )


def _kind(said: sa.FromClause, held: sa.FromClause, name: str, field: Field, source: str) -> Expression:
    """Null where the claim agrees, says nothing, or is the one that decided."""
    says, holds = claim(said, name), cell(held, name)
    decides = sa.and_(holds.source == source, holds.key == said.c._key)
    has_value = says.state == int(ClaimState.value)
    speaks = says.state.in_((int(ClaimState.value), int(ClaimState.cleared)))
    whens: list[tuple[sa.ColumnElement[bool], str]] = []
    if f"{name}__ref" in said.c:
        whens.append((sa.and_(said.c[f"{name}__ref"].is_not(None), says.value.is_(None)), "dangling_reference"))
    whens += [
        (sa.and_(decides, holds.rule == "fallback", has_value), "missing_at_owner"),
        (sa.and_(holds.system.is_(None), holds.value.is_(None), has_value), "missing_at_owner"),
        (
            sa.and_(
                sa.not_(sa.func.coalesce(decides, sa.false())),
                speaks,
                _differ(says.compare, holds.compare, field),
                holds.system == system_of(source),
            ),
            "owner_disagrees_with_itself",
        ),
        (
            sa.and_(
                sa.not_(sa.func.coalesce(decides, sa.false())), speaks, _differ(says.compare, holds.compare, field)
            ),
            "differs",
        ),
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


def _owner(tables: Tables, entity: str, held: sa.FromClause, name: str) -> Expression:
    """The system whose value holds; where nobody spoke, the one that should have; for a fallback too."""
    rule = tables.ownership.rule_of(entity, name)
    holds = cell(held, name)
    if rule.owner is None:
        return holds.system
    return sa.case(
        (sa.or_(holds.system.is_(None), holds.rule == "fallback"), sa.literal(rule.owner, sa.Text)), else_=holds.system
    )

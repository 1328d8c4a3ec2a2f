"""What `sor suggest` asks: which fields are fought over, and what each system has to say about one.

Belongs here: selects. Does not: any judgement (`proposal`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows, Union
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import ClaimState, Tables, claim

SEVERAL = 3
"""So many systems must speak before most of them can agree against one."""
STUCK, UNSTUCK = ("confirmed",), ("altered", "refused", "reverted")
"""How a correction ends that the target took, and one that it did not."""


def fought_over(tables: Tables) -> Rows:
    """Grain: one field that was ever in conflict: conflicts open, ever, and entities concerned; the most open first."""
    conflict = tables.conflict
    still = sa.func.count().filter(conflict.c.closed_in.is_(None))
    return (
        sa.select(
            conflict.c.entity, conflict.c.field, still.label("open"), sa.func.count().label("ever"),
            sa.func.count(conflict.c.entity_id.distinct()).label("entities"),
        )
        .group_by(conflict.c.entity, conflict.c.field)
        .order_by(still.desc(), sa.func.count().desc(), conflict.c.entity, conflict.c.field)
    )  # fmt: skip


def mapping_sources(tables: Tables, entity: str, field: str) -> list[str]:
    """Sources with a column for the field, in the document's order."""
    return [name for name, spec in tables.ownership.sources_of(entity).items() if field in spec.fields]


def said(tables: Tables, entity: str, field: str) -> Rows:
    """Grain: one system that maps the field: how much it has to say, how new it is, how often most others agree.

    records: live ones; filled: of them with a value; newest: when a value last changed there; compared: entities
    about which three or more systems speak and one value has more of them than any other; agrees: of these,
    those on which the system has that value; rivals: the largest number of systems that spoke about one entity.
    """
    voices = _words(tables, entity, field).subquery("voices")
    votes = _votes(voices).subquery("votes")
    heard = _heard(tables, entity, field).subquery("heard")
    together = voices.join(votes, votes.c.entity_id == voices.c.entity_id)
    agreement = (
        sa.select(
            voices.c.system,
            sa.func.count().filter(votes.c.majority.is_not(None)).label("compared"),
            sa.func.count().filter(votes.c.majority == voices.c.said).label("agrees"),
            sa.func.max(votes.c.systems).label("rivals"),
        )
        .select_from(together)
        .group_by(voices.c.system)
        .subquery("agreement")
    )
    of_none = sa.literal(0, sa.BigInteger)
    return (
        sa.select(
            heard.c.system, heard.c.records, heard.c.filled, heard.c.newest,
            *(sa.func.coalesce(agreement.c[name], of_none).label(name) for name in ("compared", "agrees", "rivals")),
        )
        .select_from(heard.outerjoin(agreement, agreement.c.system == heard.c.system))
        .order_by(heard.c.system)
    )  # fmt: skip


def _records(tables: Tables, entity: str, field: str, source: str) -> Rows:
    """Grain: one live record; columns system, entity_id, said (comparable text), filled, since, at, key."""
    staged, known, ownership = tables.staged[source], tables.identity[entity], tables.ownership
    says = claim(staged, field)
    has = says.state == int(ClaimState.value)
    origin: sa.FromClause = staged.join(known, sa.and_(known.c.source == source, known.c.source_key == staged.c._key))
    word: Expression = sa.cast(says.compare, sa.Text)
    to, referred = ownership.entities[entity].fields[field].to, ownership.referred_source(source, field)
    if to is not None and referred is not None:
        there = tables.identity[to].alias("there")
        origin = origin.outerjoin(there, sa.and_(there.c.source == referred, there.c.source_key == says.value))
        word, has = there.c.entity_id, sa.and_(has, there.c.entity_id.is_not(None))
    return (
        sa.select(
            sa.literal(system_of(source), sa.Text).label("system"), known.c.entity_id,
            sa.case((has, word)).label("said"), sa.func.coalesce(has, sa.false()).label("filled"),
            says.since.label("since"), staged.c._changed_at.label("at"), staged.c._key.label("key"),
        )
        .select_from(origin)
        .where(staged.c._deleted_at.is_(None))
    )  # fmt: skip


def _all(tables: Tables, entity: str, field: str) -> Union:
    return sa.union_all(*(_records(tables, entity, field, source) for source in mapping_sources(tables, entity, field)))


def _heard(tables: Tables, entity: str, field: str) -> Rows:
    every = _all(tables, entity, field).subquery("every")
    return sa.select(
        every.c.system,
        sa.func.count().label("records"),
        sa.func.count().filter(every.c.filled).label("filled"),
        sa.func.max(sa.case((every.c.filled, every.c.since))).label("newest"),
    ).group_by(every.c.system)


def _words(tables: Tables, entity: str, field: str) -> Rows:
    """Grain: one system that has a value for one entity: of its records the newest, then the smallest key, speaks."""
    every = _all(tables, entity, field).subquery("every")
    first = sa.func.row_number().over(
        partition_by=(every.c.entity_id, every.c.system), order_by=(every.c.at.desc().nulls_last(), every.c.key)
    )
    ranked = sa.select(every.c.entity_id, every.c.system, every.c.said, first.label("place")).where(every.c.filled)
    told = ranked.subquery("told")
    return sa.select(told.c.entity_id, told.c.system, told.c.said).where(told.c.place == 1)


def _votes(voices: sa.FromClause) -> Rows:
    """Grain: one entity: how many systems speak, and the value that more of them have than any other; else null."""
    counted = (
        sa.select(voices.c.entity_id, voices.c.said, sa.func.count().label("votes"))
        .group_by(voices.c.entity_id, voices.c.said)
        .subquery("counted")
    )
    top = sa.func.max(counted.c.votes).over(partition_by=counted.c.entity_id)
    beside = sa.select(counted, top.label("top")).subquery("beside")
    leads = beside.c.votes == beside.c.top
    most = sa.func.max(sa.case((leads, beside.c.said)))
    alone = sa.func.count().filter(leads) == 1
    enough = sa.and_(alone, sa.func.sum(beside.c.votes) >= SEVERAL)
    return sa.select(
        beside.c.entity_id,
        sa.func.sum(beside.c.votes).label("systems"),
        sa.case((enough, most)).label("majority"),
    ).group_by(beside.c.entity_id)


def corrected(tables: Tables, entity: str, field: str) -> Rows:
    """Grain: one system: corrections of the field that ended, and of them those that it kept."""
    table = tables.correction
    stuck = table.c.state.in_(STUCK)
    return (
        sa.select(
            table.c.system, sa.func.count().label("corrected"), sa.func.count().filter(stuck).label("stuck")
        )
        .where(table.c.entity == entity, table.c.field == field, table.c.state.in_((*STUCK, *UNSTUCK)))
        .group_by(table.c.system)
        .order_by(table.c.system)
    )  # fmt: skip

"""Edges that a guard or a decision kept from joining two clusters, on record.

Belongs here: `identity.<entity>__refused`. Does not: refusing (`cuts`).
"""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.identify.decided import PAIR
from sor_pipeline.identify.reach import Reach
from sor_pipeline.identify.work import Work


def by_record(work: Work, reach: Reach, name: str, rows: pa.Table) -> sa.Table:
    """Grain: one of `rows`, its nodes left and right replaced by their records (left_source, left_key, ...)."""
    scanned = work.run.engine.scan_arrow(work.connection, f"identify_by_node_{name}", rows)
    left, right = reach.members.alias("left_member"), reach.members.alias("right_member")
    sides = (left.c.source, left.c.source_key, right.c.source, right.c.source_key)
    more = [scanned.c[column] for column in rows.column_names if column not in ("left", "right")]
    named = [side.label(label) for side, label in zip(sides, PAIR, strict=True)]
    return work.keep(
        name, sa.select(*named, *more).where(left.c.node == scanned.c.left, right.c.node == scanned.c.right)
    )


def looked_at(work: Work, reach: Reach) -> sa.Table:
    """Grain: one record (source, source_key), live or not, about which this pass says all there is to say."""
    members = reach.members
    parts = [sa.select(members.c.source, members.c.source_key)]
    if not reach.whole:
        known = work.identity
        parts.append(
            sa.select(known.c.source, known.c.source_key).where(
                known.c.entity_id.in_(sa.select(reach.clusters.c.entity_id))
            )
        )
    return work.keep("looked_at", sa.union(*parts))


def write_refused(work: Work, reach: Reach, scope: sa.Table, rows: sa.Table) -> None:
    """Put `rows` in place of what was refused between the records of `scope` (`looked_at`)."""
    table = work.tables.refused[work.entity]
    if not work.any(sa.select(table)) and not work.any(sa.select(rows)):
        return
    mine = sa.exists().where(table.c.left_source == scope.c.source, table.c.left_key == scope.c.source_key)
    yours = sa.exists().where(table.c.right_source == scope.c.source, table.c.right_key == scope.c.source_key)
    stale = sa.true() if reach.whole else sa.or_(mine.correlate(table), yours.correlate(table))
    work.connection.execute(sa.delete(table).where(stale))
    names = [column.name for column in table.columns if column.name in rows.c]
    told = sa.select(*(rows.c[name] for name in names), sa.literal(work.pending, sa.BigInteger))
    work.connection.execute(sa.insert(table).from_select([*names, "_publication"], told))

"""How far systems agree with what is canonical.

Of a system's claims about a field, those can be *compared* that meet a word of the owner (a claim
without one is a gap); of these, those *agree* that are in no open conflict.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.observe.report.disagreement import GAP
from sor_pipeline.observe.report.question import Question
from sor_pipeline.tables import Tables

_CELL = ("entity", "field", "system")


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question("agreement", "field and system: claims, those that can be compared, those that agree", _cells(tables)),
        Question("agreement-by-system", "system: the same over all fields that it does not own", _systems(tables)),
    )


def _cells(tables: Tables) -> Rows:
    """Grain: one field and one system that maps it."""
    claims, conflict = tables.published_claims, tables.conflict
    newest = sa.select(sa.func.max(claims.c.publication)).scalar_subquery()
    said = (
        sa.select(
            *(claims.c[name] for name in _CELL),
            sa.cast(sa.func.sum(claims.c["values"] + claims.c.cleared), sa.BigInteger).label("claims"),
        )
        .where(claims.c.publication == newest)
        .group_by(*(claims.c[name] for name in _CELL))
        .subquery("said")
    )
    against = (
        sa.select(
            *(conflict.c[name] for name in _CELL),
            sa.func.count().filter(conflict.c.kind == GAP).label("gaps"),
            sa.func.count().filter(conflict.c.kind != GAP).label("disagree"),
        )
        .where(conflict.c.closed_in.is_(None))
        .group_by(*(conflict.c[name] for name in _CELL))
        .subquery("against")
    )
    gaps, disagree = (sa.func.coalesce(against.c[name], 0) for name in ("gaps", "disagree"))
    compared = sa.func.greatest(said.c.claims - gaps, disagree)
    return (
        sa.select(
            *(said.c[name] for name in _CELL), said.c.claims, gaps.label("gaps"), compared.label("compared"),
            (compared - disagree).label("agree"),
        )
        .outerjoin(against, sa.and_(*(said.c[name] == against.c[name] for name in _CELL)))
        .order_by(*(said.c[name] for name in _CELL))
    )  # fmt: skip


def _systems(tables: Tables) -> Rows:
    cells, owning = _cells(tables).order_by(None).subquery("cell"), tables.published_ownership
    own = sa.exists().where(owning.c.owns, *(owning.c[name] == cells.c[name] for name in _CELL))
    sums = [sa.cast(sa.func.sum(cells.c[n]), sa.BigInteger).label(n) for n in ("claims", "gaps", "compared", "agree")]
    return sa.select(cells.c.system, *sums).where(~own).group_by(cells.c.system).order_by(cells.c.system)

"""What one system says of the records at hand, whether it has one record of an entity or several.

Belongs here: the look at whether some entity is crowded, which `words` needs. Does not: the choice itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sor_pipeline.resolve.units import Unit
from sor_pipeline.resolve.words import crowded, words
from sor_pipeline.run import Run


def said_by(
    run: Run,
    connection: sa.Connection,
    entity: str,
    system: str,
    parts: tuple[Unit, ...],
    known: sa.Table,
    claimed: Mapping[str, sa.FromClause],
) -> sa.FromClause:
    """The system's `words`; `known` holds `records`, `claimed` each source's `claims`."""
    several = run.engine.materialise(connection, f"several_{system}", crowded(run.tables, entity, system, known))
    some = bool(connection.execute(sa.select(sa.exists().select_from(several))).scalar_one())
    said = words(run.tables, entity, system, parts, several if some else None, claimed)
    return said.subquery(f"words_of_{system}")

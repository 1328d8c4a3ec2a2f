"""What the clusters were made with: a reason to look at everything again when it is another.

Belongs here: `identity.state`. Does not: what is done then (`reach`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.similar.model import model_fingerprint
from sor_pipeline.identify.work import Work


def rules_differ(work: Work) -> bool:
    """True until the entity has been clustered with the document and the similarity model in force."""
    state = work.tables.identity_state
    known = sa.select(state.c.fingerprint, state.c.model).where(state.c.entity == work.entity)
    rows = work.connection.execute(known).fetchall()
    return [tuple(row) for row in rows] != [_now(work)]


def remember(work: Work) -> None:
    """Entities that the document no longer has are forgotten: should they come back, all of them is looked at again."""
    state = work.tables.identity_state
    strays = state.c.entity.not_in(list(work.run.ownership.entities))
    work.connection.execute(sa.delete(state).where(sa.or_(state.c.entity == work.entity, strays)))
    fingerprint, model = _now(work)
    work.connection.execute(sa.insert(state).values(entity=work.entity, fingerprint=fingerprint, model=model))


def _now(work: Work) -> tuple[str, str | None]:
    return work.run.ownership.fingerprint, model_fingerprint(work)

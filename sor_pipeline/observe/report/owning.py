"""Who owns what: the ownership document, as a table."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.observe.report.question import Question
from sor_pipeline.tables import Tables


def questions(tables: Tables) -> tuple[Question, ...]:
    table = tables.published_ownership
    whole = sa.select(table).order_by(table.c.entity, table.c.field, table.c.system)
    return (Question("ownership", "field and system that has a part in it", whole),)

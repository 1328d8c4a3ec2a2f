"""What waits for a person."""

from __future__ import annotations

from sor_pipeline.observe.casebook import by_steward
from sor_pipeline.observe.cases import by_kind
from sor_pipeline.observe.report.question import Question
from sor_pipeline.tables import Tables


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question("cases", "entity and kind of open case about records, with their number", by_kind(tables)),
        Question("cases-by-steward", "steward, entity and kind of open case, with their number", by_steward(tables)),
    )

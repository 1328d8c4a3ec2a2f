"""What the scorecard asks: a file per noun, each a few selects that count.

Belongs here: the questions, and `answers`, which asks them all in one transaction. No select here
reads a value of a field: numbers, names of the document and logical times only. Does not: how it
looks (`page`).
"""

from __future__ import annotations

from sor_pipeline.observe.report import (
    agreement,
    arrivals,
    correcting,
    disagreement,
    owning,
    publications,
    quality,
    waiting,
)
from sor_pipeline.observe.report.question import Answer, Question, asked
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

__all__ = ["Answer", "Question", "answers", "questions"]

NOUNS = (publications, disagreement, agreement, correcting, quality, arrivals, waiting, owning)


def questions(tables: Tables) -> tuple[Question, ...]:
    """Every question, in the order of the page; names are unique."""
    return tuple(question for noun in NOUNS for question in noun.questions(tables))


def answers(run: Run) -> dict[str, Answer]:
    """Question name -> its answer; all of one moment."""
    with run.engine.begin() as connection:
        return {one.name: asked(run, connection, one) for one in questions(run.tables)}

"""The answer of `sor accept`: what a guard named now is accepted, and nothing else.

Belongs here: asking the guards what they name. Does not: writing it down (`steward`).
"""

from __future__ import annotations

import sqlalchemy as sa
from rich.markup import escape

from sor_pipeline.publish.churn import digest, leaving
from sor_pipeline.run import Run
from sor_pipeline.steward.acceptances import accept
from sor_pipeline.terminal.delivering import waiting_plans
from sor_pipeline.terminal.paper import Paper


def say_accepted(run: Run, paper: Paper, subject: str, by: str, reason: str) -> None:
    """Accept the subject, or say that it was accepted already.

    Raises DecisionRefused for a subject that no guard can have named.
    """
    fresh = accept(run, subject, by, reason, churning(run), waiting_plans(run))
    paper.data({"subject": subject, "fresh": fresh})
    paper.say(f"{'accepted' if fresh else 'was accepted already'}: {escape(subject)}")
    if fresh:
        paper.say("Next: sor run goes on with it")


def churning(run: Run) -> dict[str, str]:
    """Entities of which published ids would change with the next publication, and the name of exactly this change."""
    found: dict[str, str] = {}
    with run.engine.begin() as connection:
        for entity in run.ownership.entities:
            some = sa.select(leaving(run, connection, entity).subquery("some")).limit(1)
            if connection.execute(some).fetchall():
                found[entity] = digest(run, connection, entity)
    return found

"""The roles, as data: what each is for and how far it reaches.

Belongs here: the list. Does not: which columns are which (`holding`), nor statements (`plan`).

Names here are without the prefix that they have on the server, where roles are everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sor_pipeline.tables import MARTS

MASKED = "_masked"
"""Ends the name of the schema that shows another one's tables without personal values."""
PREFIX = "sor_"


class How(StrEnum):
    """How far a role reaches into a schema."""

    own = "own"
    work = "work"
    whole = "whole"
    plain = "plain"
    enter = "enter"


WORDS = {
    How.own: "owns schema and tables",
    How.work: "reads and writes rows",
    How.whole: "reads every column",
    How.plain: "reads what holds no personal value; the rest masked",
    How.enter: "reads what its views need",
}


@dataclass(frozen=True)
class Role:
    """`reach`: schema (or `schema.table`) and how; `within`: roles that it is a member of."""

    name: str
    words: str
    reach: tuple[tuple[str, How], ...] = ()
    within: tuple[str, ...] = ()
    database: tuple[str, ...] = ("CONNECT",)


MASKS = "masks"
PUBLISHER = "publisher"
ROLES: tuple[Role, ...] = (
    Role(MASKS, "nobody's: owns the masked views, so that row-level policies hold for them too",
         (("conformed", How.enter), ("steward", How.enter), ("outbound", How.enter)), database=()),
    Role(PUBLISHER, "runs the pipeline: owns all that a run makes",
         tuple((schema, How.own) for schema in (
             "landing", "staged", "identity", "canonical", "audit", "steward", "outbound", "conformed", MARTS)),
         (MASKS,), ("CONNECT", "CREATE", "TEMPORARY")),
    Role("loader", "puts deliveries in: landing, staged, and the account of their rows",
         (("landing", How.work), ("staged", How.work), ("audit.account", How.work))),
    Role("analyst", "reads what is published, personal values masked",
         (("conformed", How.plain), (MARTS, How.plain))),
    Role("analyst_personal", "an analyst who also reads personal values",
         (("conformed", How.whole), (MARTS, How.whole)), ("analyst",)),
    Role("steward", "decides, through the tool only: nothing is granted but the door"),
    Role("auditor", "reads what ran, what was decided, what was sent and what is published, personal values masked",
         (("audit", How.plain), ("steward", How.plain), ("outbound", How.plain), ("conformed", How.plain))),
)  # fmt: skip

"""Levels of agreement as data: how two records are tested, and what the outcome is worth before anything was learned.

Belongs here: the shape of a comparison. Does not: which levels a kind of field has (`comparing`), how a test is
run (`backend`).

A test is a tuple: `("same", column)`, `("alike", column, Jaro-Winkler)`, `("edits", column, at most)`,
`("overlap", list column)`, `("within", list column)`, `("crossed", column, column)` where one's first is the
other's second and the reverse, `("lead", column, column)` where it is so for one direction,
`("near", column, distance)`, `("and" | "or", tests...)`, `("else",)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sor_pipeline.identify.similar.plan import Part

Test = tuple[Any, ...]


@dataclass(frozen=True)
class Level:
    """`m`, `u`: expected shares among records of one entity, and among any two.

    `agrees`: speaks for one entity; `differs`: two people who are not one differ like this.

    `hints`: agrees enough to bear a name out, not to tell who somebody is. `silent`: says nothing either way,
    as if nothing had been compared.
    """

    label: str
    test: Test
    m: float
    u: float
    agrees: bool = True
    differs: bool = False
    silent: bool = False
    hints: bool = False


@dataclass(frozen=True)
class Comparison:
    """Levels from best to worst. Nothing is compared where one side has no value in any of `missing`.

    `frequent`: the column whose frequent values say less, agreed at the first level. `only_if`: a column
    that must be equal for anything to be compared.
    """

    part: Part
    levels: tuple[Level, ...]
    missing: tuple[str, ...]
    frequent: str | None = None
    only_if: str | None = None

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def speaking(self) -> tuple[Level, ...]:
        """Levels that weigh, from best to worst."""
        return tuple(level for level in self.levels if not level.silent)


ELSE: Test = ("else",)

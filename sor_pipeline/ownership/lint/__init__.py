"""What the parts of a well-formed document say against each other.

Belongs here: the order of the checks, and `read`, which loads and lints in one go. Each check
is a noun of this folder: names, ruling, conditions, mapping, matching, writing, converging.
Does not: faults of form (`load`), anything that needs the data.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.gaps import Gaps
from sor_pipeline.ownership.lint.conditions import check_conditions
from sor_pipeline.ownership.lint.converging import check_converging
from sor_pipeline.ownership.lint.mapping import check_mapping
from sor_pipeline.ownership.lint.matching import check_matching
from sor_pipeline.ownership.lint.names import check_names
from sor_pipeline.ownership.lint.notebook import Notebook
from sor_pipeline.ownership.lint.ruling import check_ruling
from sor_pipeline.ownership.lint.stewards import check_stewards
from sor_pipeline.ownership.lint.summaries import check_summaries
from sor_pipeline.ownership.lint.targets import check_targets
from sor_pipeline.ownership.lint.writing import check_writing
from sor_pipeline.ownership.load import survey
from sor_pipeline.ownership.places import Places, in_order

UNREADABLE = frozenset({"document-missing", "document-unreadable", "document-too-large", "document-not-text"})


class Severity(IntEnum):
    """The exit code of `sor check`."""

    clean = 0
    """No fault, or warnings only."""
    faults = 1
    """The document must be mended."""
    unreadable = 2
    """There is no document to check: wrong path, no permission, not a text."""


class Reading(NamedTuple):
    """What `read` found; `ownership` is None where the document has faults of form."""

    ownership: Ownership | None
    faults: list[Fault]

    @property
    def severity(self) -> Severity:
        if any(fault.code in UNREADABLE for fault in self.faults):
            return Severity.unreadable
        return Severity.faults if any(not fault.warning for fault in self.faults) else Severity.clean


CHECKS: tuple[Callable[[Notebook], None], ...] = (
    check_names,
    check_ruling,
    check_summaries,
    check_conditions,
    check_mapping,
    check_matching,
    check_writing,
    check_converging,
    check_targets,
    check_stewards,
)
"""The order in which faults of one line are told."""


def lint(ownership: Ownership, places: Places | None = None, gaps: Gaps | None = None) -> list[Fault]:
    """Every contradiction in a well-formed document, by line; `warning` marks those that stop nobody.

    With `gaps`, of a document of which parts were left out: then only what holds whatever was meant there.
    """
    book = Notebook(ownership, places or Places(), gaps or Gaps())
    for check in CHECKS:
        check(book)
    return in_order(book.faults)


def read(path: Path) -> Reading:
    """Loads and lints the document at `path` (a file or a folder); raises nothing that is the document's fault.

    Faults of form stop no lint: what is ill-formed is left out, and the rest is linted without it.
    """
    try:
        found = survey(path)
    except OwnershipError as error:
        return Reading(None, list(error.faults))
    faults = [*found.unread, *found.misfits]
    contradictions = lint(found.ownership, found.places, found.gaps) if found.ownership else []
    whole = None if faults else found.ownership
    return Reading(whole, in_order(dict.fromkeys([*faults, *contradictions])))


def load_checked(path: Path) -> Ownership:
    """The document, where it has no fault but warnings. Raises OwnershipError with every error that `read` finds."""
    reading = read(path)
    errors = [fault for fault in reading.faults if not fault.warning]
    if errors or reading.ownership is None:
        raise OwnershipError(*errors)
    return reading.ownership

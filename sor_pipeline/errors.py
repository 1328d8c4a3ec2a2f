"""The exception tree: what went wrong, where, what was found, what was expected, what to do.

Belongs here: exception classes and the one way in which they are worded.
Does not: decisions about exit codes (`cli`) or about what Dagster shows (`defs`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, worded so that its reader can act on it.

    `code` is a stable kebab-case name (`unknown-system`), `where` a `file:line` or a
    table and key; `found`, `expected` and `todo` may be empty where they add nothing.
    """

    code: str
    where: str
    what: str
    found: str = ""
    expected: str = ""
    todo: str = ""
    warning: bool = False

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what} [{self.code}]" if self.where else f"{self.what} [{self.code}]"]
        parts += [
            f"  {label}: {text}"
            for label, text in (("found", self.found), ("expected", self.expected), ("do", self.todo))
            if text
        ]
        return "\n".join(parts)


class SorError(Exception):
    """Base of everything that this package raises on purpose; carries one fault or many."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class OwnershipError(SorError):
    """The ownership document cannot be read or contradicts itself."""


class SettingsError(SorError):
    """The environment names something that cannot be used."""


class ExtractRefused(SorError):
    """One delivered extract cannot be landed; other sources go on."""


class SchemaDrifted(SorError):
    """A delivery has another shape than the one before, and its source says that this ends the run."""


class SourceStopped(SorError):
    """A source is held back until a person accepts what it delivered (a snapshot that shrank)."""


class Unbalanced(SorError):
    """Rows read and rows accounted for differ: the run must not publish."""


class PublicationBlocked(SorError):
    """An expectation of severity `block` failed: the last publication stays readable."""


class DecisionRefused(SorError):
    """A person's word cannot be meant: it names what is not there, or says again what is said."""


class NeverPublished(SorError):
    """What is asked for was not published at that time."""


class MartsFailed(SorError):
    """dbt could not build the marts, or a test of theirs failed: the last ones stay readable."""


class EngineError(SorError):
    """The warehouse refuses: too old, locked by somebody else, or damaged."""

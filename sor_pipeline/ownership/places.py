"""Where each part of the document was written.

Belongs here: the map from a path in the document to file and line. Does not: reading either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sor_pipeline.errors import Fault

Step = str | int
"""One step down the document: a key, or the position in a list."""


@dataclass(frozen=True)
class Places:
    """`lines`: path from the document's root, keys as written, to `file:line`.

    A document that was built in code has none: its parts are named by their dotted path.
    """

    lines: Mapping[tuple[Step, ...], str] = field(default_factory=dict)

    def at(self, *path: Step) -> str:
        """`file:line` of the part, else of the nearest part around it that is written down."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return ".".join(map(str, path))

    def along(self, loc: tuple[Step, ...]) -> tuple[Step, ...]:
        """The longest written path along `loc`; steps that are not written (names of a union's branch) are skipped."""
        path: tuple[Step, ...] = ()
        for step in loc:
            if (*path, step) in self.lines:
                path = (*path, step)
        return path


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults as one reads the document: by file, then line; those of one line in the order found."""

    def place(fault: Fault) -> tuple[str, int]:
        file, _, line = fault.where.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (fault.where, 0)

    return sorted(faults, key=place)

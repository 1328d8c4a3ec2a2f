"""What of a document could not be read, so that nothing follows from its not being there.

Belongs here: the places of ill-formed parts that were left out, and what may still be concluded without them.
Does not: deciding what is ill-formed (`load`, `misfits`), what the rest says (`lint`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sor_pipeline.ownership.places import Step
from sor_pipeline.ownership.yamltree import Node

Place = tuple[Step, ...]


class Gaps:
    """`holes`: parts left out, stood in for, or written twice. `loose`: mappings and lists of which an entry is
    missing that has no place of its own (an item, or a name that cannot be one)."""

    def __init__(self, holes: Iterable[Place] = (), loose: Iterable[Place] = ()) -> None:
        self._holes = frozenset(holes)
        self._loose = frozenset(loose)
        self._above = frozenset(
            place[:length] for place in (*self._holes, *self._loose) for length in range(len(place) + 1)
        )
        self._names: dict[Place, set[str]] = {}
        for place in self._holes:
            self._names.setdefault(place[:-1], set()).add(str(place[-1]))

    def whole(self, *path: Step) -> bool:
        """Whether the part is there as it was meant: no hole in it, at it or around it."""
        return self.complete(*path) and self.stands(*path)

    def complete(self, *path: Step) -> bool:
        """Whether the part has no hole in it or at it."""
        return path not in self._above

    def lacks(self, *path: Step) -> bool:
        """Whether an entry of the mapping or list is lost, and nothing says which."""
        return path in self._loose

    def stands(self, *path: Step) -> bool:
        """Whether what is written at the path, if only in part, is what was meant: no hole at it or around it."""
        return not any(path[:length] in self._holes for length in range(len(path) + 1))

    def listed(self, *path: Step) -> bool:
        """Whether all names of the mapping are known; what is below them may have holes."""
        return not self.lacks(*path) and self.stands(*path)

    def settled(self, scope: Place, name: str) -> bool:
        """Whether it is certain that the mapping `scope` has, or has not, an entry `name`."""
        return self.listed(*scope) and (*scope, name) not in self._holes

    def left_out(self, *path: Step) -> set[str]:
        """Names of entries of the mapping that are written, but not in the model as they were meant."""
        return self._names.get(path, set())


def gaps_of(root: Node) -> Gaps:
    """The gaps that are noted at the nodes of a tree."""
    holes: list[Place] = []
    loose: list[Place] = []

    def walk(node: Node, path: Place) -> None:
        holes.extend((*path, name) for name in node.doubtful)
        if node.loose:
            loose.append(path)
        for position, item in enumerate(node.items or ()):
            walk(item, (*path, position))
        for name, (_, below) in (node.entries or {}).items():
            walk(below, (*path, name))

    walk(root, ())
    return Gaps(holes, loose)

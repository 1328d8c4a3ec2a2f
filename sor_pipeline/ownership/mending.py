"""The readable rest of a document: ill-formed parts are left out until what is left is a model.

Belongs here: what is left out for which error, and which later errors only follow from that.
Does not: the wording of errors (`misfits`), what is concluded from the rest (`lint`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic_core import ErrorDetails

from sor_pipeline.ownership.gaps import Gaps, Place
from sor_pipeline.ownership.misfits import known_keys
from sor_pipeline.ownership.places import Places
from sor_pipeline.ownership.suggest import nearest
from sor_pipeline.ownership.yamltree import Node

_NAMELESS = "left_out"
_Stand = str | dict[str, "_Stand"]
_STAND_INS: dict[str, _Stand] = {
    "owner": _NAMELESS,
    "entity": _NAMELESS,
    "key": _NAMELESS,
    "reason": _NAMELESS,
    "extract": {"files": _NAMELESS},
    "fields": {_NAMELESS: {}},
    "systems": {_NAMELESS: {}},
    "entities": {_NAMELESS: {"owner": _NAMELESS, "fields": {_NAMELESS: {}}}},
}
"""For required keys: what is put there instead, so that the rest of their noun can be read."""


def genuine(details: Iterable[ErrorDetails], places: Places, gaps: Gaps) -> list[ErrorDetails]:
    """The errors that are there in the document as written, not because of what was left out of it."""
    details = list(details)
    meant = {
        (*path[:-1], suggested)
        for detail in details
        if detail["type"] == "extra_forbidden" and (path := places.along(tuple(detail["loc"])))
        if (suggested := nearest(str(path[-1]), _unwritten(places, path[:-1])))
    }
    return [detail for detail in details if not _follows(detail, places, gaps, meant)]


def _unwritten(places: Places, path: Place) -> list[str]:
    return [key for key in known_keys(path) if (*path, key) not in places.lines]


def _follows(detail: ErrorDetails, places: Places, gaps: Gaps, meant: set[Place]) -> bool:
    path = places.along(tuple(detail["loc"]))
    if detail["type"] == "missing":
        name = str(detail["loc"][-1])
        return (*path, name) in meant or not gaps.settled(path, name)
    if detail["type"] == "value_error":
        concerned = set(re.findall(r"`(\w+)[`:]", detail["msg"]))
        return gaps.lacks(*path) or bool(concerned & gaps.left_out(*path))
    return not gaps.complete(*path)


def copied(node: Node) -> Node:
    """The tree without shared nodes, so that each place can be changed alone."""
    entries = node.entries
    return Node(
        node.where,
        node.text,
        node.plain,
        None if node.items is None else [copied(item) for item in node.items],
        None if entries is None else {name: (where, copied(below)) for name, (where, below) in entries.items()},
        doubtful=set(node.doubtful),
        loose=node.loose,
    )


def mend(root: Node, details: Iterable[ErrorDetails], places: Places) -> bool:
    """Leave out of the tree, or stand in for, what each error is about; False where nothing can be done."""
    outs: set[Place] = set()
    loose: set[Place] = set()
    for detail in details:
        path = places.along(tuple(detail["loc"]))
        name = str(detail["loc"][-1])
        if detail["type"] == "missing" and name in _STAND_INS:
            _stand_in(_node(root, path), name)
        elif not path:
            return False
        else:
            outs.add(path)
        if detail["type"] == "extra_forbidden":
            _node(root, path[:-1]).doubtful.update(_unwritten(places, path[:-1]))
            loose.add(path)
        elif "[key]" in detail["loc"]:
            _node(root, path[:-1]).loose = True
            loose.add(path)
    for path in sorted(outs, key=_from_behind, reverse=True):
        _leave_out(_node(root, path[:-1]), path, path in loose)
    return True


def _from_behind(path: Place) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (0, step) for step in path]


def _stand_in(owner: Node, name: str) -> None:
    if owner.entries is not None:
        owner.entries[name] = (owner.where, _standing(_STAND_INS[name], owner.where))
        owner.doubtful.add(name)


def _standing(instead: _Stand, where: str) -> Node:
    if isinstance(instead, str):
        return Node(where, text=instead)
    return Node(where, entries={name: (where, _standing(below, where)) for name, below in instead.items()})


def _leave_out(parent: Node, path: Place, nameless: bool) -> None:
    step = path[-1]
    if parent.items is not None and isinstance(step, int):
        del parent.items[step]
        parent.loose = True
    elif parent.entries is not None and isinstance(step, str):
        del parent.entries[step]
        if not nameless:
            parent.doubtful.add(step)


def _node(root: Node, path: Place) -> Node:
    node = root
    for step in path:
        if node.items is not None and isinstance(step, int):
            node = node.items[step]
        elif node.entries is not None and isinstance(step, str):
            node = node.entries[step][1]
    return node

"""Whether every case can reach somebody.

Belongs here: `stewards` and `escalation`. Does not: whether a notice arrives (`steward`).
"""

from __future__ import annotations

from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.stewards import ABOUT, STEWARD, CaseKind, Escalation

_NAMES = ("entity", "field", "system")


def check_stewards(book: Notebook) -> None:
    """unknown-steward, repeated-steward, route-never-fits, route-after-all, reserved-system."""
    if STEWARD in book.ownership.systems:
        book.error("reserved-system", ("systems", STEWARD), f"`{STEWARD}` stands for people's own word in every table",
                   f"`{STEWARD}`", "another name", "rename the system")  # fmt: skip
    earlier: list[Escalation] = []
    for position, route in enumerate(book.ownership.escalation):
        path: Path = ("escalation", position)
        _path_of(book, path, route)
        if _names_exist(book, path, route) and not _never_fits(book, path, route):
            _shadowed(book, path, route, earlier)
        earlier.append(route)


def _path_of(book: Notebook, path: Path, route: Escalation) -> None:
    for position, name in enumerate(route.to):
        book.known("steward", name, book.ownership.stewards, (*path, "to", position))
        if name in route.to[:position]:
            book.warn("repeated-steward", (*path, "to", position), f"`{name}` is twice in one path", f"`{name}`",
                      "each steward once", "remove one: it would be handed to the same person again")  # fmt: skip


def _names_exist(book: Notebook, path: Path, route: Escalation) -> bool:
    ownership, found = book.ownership, True
    if route.entity is not None:
        found = book.known("entity", route.entity, ownership.entities, (*path, "entity"))
    if route.system is not None:
        found = book.known("system", route.system, ownership.systems, (*path, "system")) and found
    if route.field is not None and found:
        among = [route.entity] if route.entity else list(ownership.entities)
        fields = {name: True for entity in among for name in ownership.entities[entity].fields}
        settled = all(book.gaps.listed("entities", entity, "fields") for entity in among)
        found = book.known("field", route.field, fields, (*path, "field")) if settled else False
    return found


def _never_fits(book: Notebook, path: Path, route: Escalation) -> bool:
    named = {name for name in _NAMES if getattr(route, name) is not None}
    kinds = route.kinds or tuple(CaseKind)
    if not any(named <= ABOUT[kind] for kind in kinds):
        listed = ", ".join(kind.value for kind in kinds)
        _never(book, path, f"no case of this kind names {' and '.join(sorted(named))}", listed)
        return True
    if route.entity is None or route.system is None or not book.sources_settled():
        return False
    if book.ownership.sources_of(route.entity) and not book.feeds(route.system, route.entity):
        _never(book, path, f"`{route.system}` has no source of `{route.entity}`", f"`{route.system}`")
        return True
    return False


def _never(book: Notebook, path: Path, what: str, found: str) -> None:
    book.error("route-never-fits", path, f"no case ever takes this route: {what}", found,
               "what a case can be about", "correct it, or remove the route")  # fmt: skip


def _shadowed(book: Notebook, path: Path, route: Escalation, earlier: list[Escalation]) -> None:
    for position, before in enumerate(earlier):
        kinds = not before.kinds or (route.kinds and set(route.kinds) <= set(before.kinds))
        same = all(getattr(before, name) in (None, getattr(route, name)) for name in _NAMES)
        if kinds and same:
            where = book.places.at("escalation", position)
            book.warn("route-after-all", path, "an earlier route takes every case that this one fits",
                      f"the route at {where}", "the narrow routes first", "move it up, or remove it")  # fmt: skip
            return

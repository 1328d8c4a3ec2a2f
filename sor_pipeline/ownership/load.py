"""From the document's files to the model: every fault at once, each with file and line.

Belongs here: reading and merging files, the bridge from YAML to the models.
Does not: YAML itself (`yamltree`), the wording of what the models refuse (`misfits`), faults
between parts that are each well formed (`lint`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.gaps import Gaps, gaps_of
from sor_pipeline.ownership.mending import copied, genuine, mend
from sor_pipeline.ownership.misfits import known_keys, misfits
from sor_pipeline.ownership.places import Places, Step, in_order
from sor_pipeline.ownership.yamltree import MAX_BYTES, Node, compose

SUFFIXES = (".yaml", ".yml")
_SECTIONS = ("systems", "entities", "sources", "placeholders")
_TYPED = ("with", "arguments")
"""Keys below which scalars are typed (arguments of an expectation); everywhere else the models read their text."""
_ROUNDS = 20
"""How often parts may be left out; each round finds what the one before hid."""
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, object] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def load(path: Path) -> Ownership:
    """The document in one file, or in a folder's *.yaml and *.yml files put together.

    Raises OwnershipError with every fault of form; what the parts say of each other is `lint`'s.
    """
    return load_with_places(path)[0]


def load_with_places(path: Path) -> tuple[Ownership, Places]:
    """`load`, and where each part was written. Raises OwnershipError."""
    found = survey(path)
    faults = found.unread or in_order(found.misfits)
    if faults or found.ownership is None:
        raise OwnershipError(*faults)
    return found.ownership, found.places


class Survey(NamedTuple):
    """What can be read of a document: the model of it (None: of nothing), the places of its parts, what is missing
    in it, the faults of YAML (`unread`) and of form (`misfits`)."""

    ownership: Ownership | None
    places: Places
    gaps: Gaps
    unread: list[Fault]
    misfits: list[Fault]


def survey(path: Path) -> Survey:
    """Reads on after faults, without the parts that have them. Raises OwnershipError where there is nothing to read."""
    unread: list[Fault] = []
    faults: list[Fault] = []
    roots: list[Node] = []
    lost = False
    for file in _files(path):
        root, found = compose(_content(file), _shown(file))
        unread += found
        lost = lost or (root is None and bool(found))
        if root is not None and not root.empty:
            roots.append(root)
    if not roots and unread:
        raise OwnershipError(*unread)
    if not roots:
        what, todo = "the document is empty", "write `systems:`, `entities:` and `sources:`"
        raise OwnershipError(Fault("document-empty", _shown(path), what, "nothing", "an ownership document", todo))
    merged = _merged(roots, faults)
    if lost:
        merged.doubtful.update(known_keys(()))
        merged.loose = True
    if merged.entries == {} and faults:
        return Survey(None, Places(), Gaps(), unread, faults)
    return _modelled(merged, _shown(path), unread, faults)


def _modelled(root: Node, shown: str, unread: list[Fault], faults: list[Fault]) -> Survey:
    """The model of the tree, or of what is left of it when what is ill-formed is left out, round by round."""
    tree = root
    for _ in range(_ROUNDS):
        places, gaps = _places(tree, shown), gaps_of(tree)
        try:
            return Survey(Ownership.model_validate(_plain(tree, False)), places, gaps, unread, faults)
        except ValidationError as error:
            details = error.errors(include_url=False)
        faults += misfits(genuine(details, places, gaps), places)
        tree = copied(tree)
        if not mend(tree, details, places):
            break
    return Survey(None, places, gaps, unread, faults)


def _places(root: Node, shown: str) -> Places:
    lines: dict[tuple[Step, ...], str] = {(): shown}
    for name, (where, node) in (root.entries or {}).items():
        lines[(name,)] = where
        _note(node, (name,), lines)
    return Places(lines)


def _files(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))
            if not files:
                what, todo = "the folder holds no document", "add a file that ends in .yaml"
                raise OwnershipError(
                    Fault("document-missing", _shown(path), what, "no *.yaml, no *.yml", "at least one", todo)
                )
            return files
        if not path.exists():
            todo = "name the file or folder of the ownership document"
            raise OwnershipError(Fault("document-missing", _shown(path), "there is no such file or folder", todo=todo))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise OwnershipError(_unreadable(path, error)) from None
    return [path]


def _content(file: Path) -> bytes:
    """The first bytes of the file: one more than allowed, so that too much is seen without reading it all."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise OwnershipError(_unreadable(file, error)) from None


def _unreadable(path: Path, error: Exception) -> Fault:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return Fault(
        "document-unreadable",
        _shown(path),
        "the file cannot be read",
        reason,
        "a readable file",
        "check path and permissions",
    )


def _shown(path: Path) -> str:
    """As short as it stays clickable: relative to the working folder where it lies below."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)


def _merged(roots: list[Node], faults: list[Fault]) -> Node:
    """One mapping of all files' top-level keys; sections are put together name by name."""
    merged = Node(roots[0].where, entries={})
    for root in roots:
        merged.doubtful |= root.doubtful
        merged.loose = merged.loose or root.loose or root.entries is None
        if root.entries is None:
            todo = "begin with `systems:` at the left margin"
            what = "the document is not a mapping"
            found = "a list" if root.items is not None else "a single text"
            faults.append(Fault("wrong-shape", root.where, what, found, "`systems:`, `entities:`, `sources:`", todo))
        else:
            _merge(merged, root, faults, ())
    return merged


def _merge(into: Node, other: Node, faults: list[Fault], path: tuple[str, ...]) -> None:
    known = into.entries if into.entries is not None else {}
    into.doubtful |= other.doubtful
    into.loose = into.loose or other.loose
    for name, (where, node) in (other.entries or {}).items():
        if name not in known:
            section = not path and name in _SECTIONS and node.entries is not None
            known[name] = (where, _opened(node)) if section else (where, node)
        elif not path and name in _SECTIONS and node.entries is not None and known[name][1].entries is not None:
            _merge(known[name][1], node, faults, (name,))
        else:
            into.doubtful.add(name)
            label = ".".join((*path, name))
            first = known[name][0]
            todo = "keep one of the two"
            faults.append(
                Fault("duplicate-key", where, f"`{label}` is written in two files", f"first at {first}", "once", todo)
            )


def _opened(section: Node) -> Node:
    """The section, to which other files may add."""
    return Node(section.where, entries=dict(section.entries or {}), doubtful=set(section.doubtful), loose=section.loose)


def _note(node: Node, path: tuple[Step, ...], lines: dict[tuple[Step, ...], str]) -> None:
    for position, item in enumerate(node.items or ()):
        lines[(*path, position)] = item.where
        _note(item, (*path, position), lines)
    for name, (where, below) in (node.entries or {}).items():
        lines[(*path, name)] = where
        _note(below, (*path, name), lines)


def _plain(node: Node, typed: bool) -> object:
    if node.items is not None:
        return [_plain(item, typed) for item in node.items]
    if node.entries is not None:
        return {name: _plain(below, typed or name in _TYPED) for name, (_, below) in node.entries.items()}
    if node.empty:
        return None
    return _typed(node.text or "") if typed and node.plain else node.text


def _typed(text: str) -> object:
    """YAML 1.2 core schema: only `true` and `false` are booleans."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text

"""From the document's files to the model: every fault at once, each with file and line.

Belongs here: reading and merging files, the bridge from YAML to the models.
Does not: YAML itself (`yamltree`), the wording of what the models refuse (`misfits`), faults
between parts that are each well formed (`lint`).
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.misfits import misfits
from sor_pipeline.ownership.places import Places, Step, in_order
from sor_pipeline.ownership.yamltree import MAX_BYTES, Node, compose

SUFFIXES = (".yaml", ".yml")
_SECTIONS = ("systems", "entities", "sources", "placeholders")
_TYPED = ("with", "arguments")
"""Keys below which scalars are typed (arguments of an expectation); everywhere else the models read their text."""
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
    faults: list[Fault] = []
    roots: list[Node] = []
    for file in _files(path):
        root, found = compose(_content(file), _shown(file))
        faults += found
        if root is not None and not root.empty:
            roots.append(root)
    if faults:
        raise OwnershipError(*faults)
    if not roots:
        what, todo = "the document is empty", "write `systems:`, `entities:` and `sources:`"
        raise OwnershipError(Fault("document-empty", _shown(path), what, "nothing", "an ownership document", todo))
    merged = _merged(roots, faults)
    lines: dict[tuple[Step, ...], str] = {(): _shown(path)}
    for name, (where, node) in (merged.entries or {}).items():
        lines[(name,)] = where
        _note(node, (name,), lines)
    places = Places(lines)
    try:
        ownership = Ownership.model_validate(_plain(merged, False))
    except ValidationError as error:
        faults += misfits(error, places)
    if faults:
        raise OwnershipError(*in_order(faults))
    return ownership, places


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
        if root.entries is None:
            todo = "begin with `systems:` at the left margin"
            what = "the document is not a mapping"
            found = "a list" if root.items is not None else "a single text"
            faults.append(Fault("wrong-shape", root.where, what, found, "`systems:`, `entities:`, `sources:`", todo))
        else:
            _merge(merged, root, faults, ())
    if merged.entries == {} and faults:
        raise OwnershipError(*faults)
    return merged


def _merge(into: Node, other: Node, faults: list[Fault], path: tuple[str, ...]) -> None:
    known = into.entries if into.entries is not None else {}
    for name, (where, node) in (other.entries or {}).items():
        if name not in known:
            section = not path and name in _SECTIONS and node.entries is not None
            known[name] = (where, Node(node.where, entries=dict(node.entries or {}))) if section else (where, node)
        elif not path and name in _SECTIONS and node.entries is not None and known[name][1].entries is not None:
            _merge(known[name][1], node, faults, (name,))
        else:
            label = ".".join((*path, name))
            first = known[name][0]
            todo = "keep one of the two"
            faults.append(
                Fault("duplicate-key", where, f"`{label}` is written in two files", f"first at {first}", "once", todo)
            )


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

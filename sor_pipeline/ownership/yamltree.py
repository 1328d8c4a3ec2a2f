"""YAML text as a tree whose every node knows its line.

Belongs here: what YAML allows and what of it we refuse (tags, duplicate keys, bombs).
Does not: what the document means (`load`, the models).

The events come from PyYAML (libyaml where it is built in); the tree is built here, without
recursion, so that no depth of nesting and no alias can exhaust memory or stack. Scalars keep
their text: `NO`, `007` and `1.10` arrive as written, and the models decide what is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from sor_pipeline.errors import Fault

MAX_BYTES = 5_000_000
MAX_DEPTH = 32
MAX_ALIASED = 10_000
"""Nodes that aliases may add to the document, all together."""

_CORE = ("str", "int", "float", "bool", "null", "map", "seq")
_CORE_TAGS = frozenset({None, "!", *(f"tag:yaml.org,2002:{name}" for name in _CORE)})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Node:
    """A scalar (`text`), a list (`items`) or a mapping (`entries`: key -> where it is, value).

    `doubtful` are names of entries that are not as they were meant; `loose` says that an entry is lost.
    """

    where: str
    text: str | None = None
    plain: bool = False
    items: list[Node] | None = None
    entries: dict[str, tuple[str, Node]] | None = None
    size: int = 1
    depth: int = 1
    doubtful: set[str] = field(default_factory=set)
    loose: bool = False

    @property
    def empty(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass
class _Open:
    """A list or mapping whose end has not been seen."""

    node: Node
    anchor: str | None
    key: tuple[str, str] | None = None
    waiting: bool = field(default=False)  # the value that comes next belongs to a key that was refused


class _RefusedError(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def compose(content: bytes, file: str) -> tuple[Node | None, list[Fault]]:
    """The tree of one YAML file (None where it holds nothing or cannot be read) and what is wrong with it."""
    builder = _Builder(file)
    try:
        builder.build(_decoded(content, file))
    except _RefusedError as refused:
        return None, [*builder.faults, refused.fault]
    return builder.root, builder.faults


def _decoded(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        todo = "split it into the files of a folder, or name the right file"
        what = "the document is too large"
        raise _RefusedError(
            Fault("document-too-large", file, what, f"{len(content):,} bytes", f"at most {MAX_BYTES:,} bytes", todo)
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        raise _RefusedError(
            Fault(
                "document-not-text",
                f"{file}:{line}",
                "not a text in UTF-8",
                found,
                "YAML in UTF-8",
                "save the file as UTF-8",
            )
        ) from None
    control = _CONTROL.search(text)
    if control:
        where = f"{file}:{text.count(chr(10), 0, control.start()) + 1}"
        found = f"control character 0x{ord(control.group()):02x}"
        raise _RefusedError(
            Fault("document-not-text", where, "not a text", found, "YAML in UTF-8", "remove it, or name the right file")
        )
    return text


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.root: Node | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._aliased = 0

    def build(self, text: str) -> None:
        for event in self._events(text):
            self._take(event)

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except _RefusedError:
            raise
        except yaml.YAMLError as error:
            raise _RefusedError(self._syntax(error, text)) from None
        except Exception as error:  # the parser's own slips on nonsense (OverflowError on "\UFFFFFFFF", …)
            raise _RefusedError(
                Fault("yaml-syntax", self.file, "not YAML", found=type(error).__name__, expected="YAML 1.2")
            ) from None

    def _syntax(self, error: yaml.YAMLError, text: str) -> Fault:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        context = getattr(error, "context", None)
        what = f"{problem}, {context}" if context else str(problem)
        if mark is None:
            return Fault("yaml-syntax", self.file, what, expected="YAML 1.2")
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        where = f"{self.file}:{mark.line + 1}"
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return Fault("yaml-tab", where, "a tab indents this line", "a tab", "spaces", "replace the tab with spaces")
        found = f"`{line.strip()[:60]}`" if line.strip() else "the end of the file"
        return Fault("yaml-syntax", where, what, found, "YAML 1.2", "look at this line and the one above it")

    def _where(self, event: yaml.Event) -> str:
        mark = event.start_mark
        return f"{self.file}:{mark.line + 1}" if mark else self.file

    def _fault(self, code: str, where: str, what: str, found: str = "", expected: str = "", todo: str = "") -> None:
        self.faults.append(Fault(code, where, what, found, expected, todo))

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            what, todo = "a second document begins", "remove the `---`, or make it a file of its own in a folder"
            raise _RefusedError(
                Fault("yaml-documents", self._where(event), what, "`---`", "one document per file", todo)
            )
        if isinstance(event, yaml.AliasEvent):
            self._place(self._alias(event), self._where(event), None)
        elif isinstance(event, yaml.ScalarEvent):
            self._check_tag(event)
            plain = event.implicit[0]
            self._place(Node(self._where(event), text=event.value, plain=plain), self._where(event), event.anchor)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._check_tag(event)
            self._enter(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            done = self._open.pop()
            self._place(done.node, done.node.where, done.anchor)

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag not in _CORE_TAGS:
            todo = "remove the tag"
            self._fault(
                "yaml-tag", self._where(event), "tags are not known here", f"`{str(event.tag)[:60]}`", "no tag", todo
            )

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = event.anchor or ""
        node = self._anchors.get(name)
        where = self._where(event)
        if node is None:
            what = "the alias names no anchor that is complete above it"
            raise _RefusedError(
                Fault("yaml-alias", where, what, f"`*{name[:60]}`", "an anchor `&name` above", "write the value out")
            )
        self._aliased += node.size
        if self._aliased > MAX_ALIASED or len(self._open) + node.depth > MAX_DEPTH:
            what = "the aliases make the document too large"
            expected = f"at most {MAX_ALIASED:,} values by alias, {MAX_DEPTH} levels"
            raise _RefusedError(
                Fault("yaml-alias-bomb", where, what, f"`*{name[:60]}`", expected, "write the values out")
            )
        return node

    def _enter(self, event: yaml.CollectionStartEvent) -> None:
        where = self._where(event)
        if len(self._open) >= MAX_DEPTH:
            what, todo = "nested too deeply", "look for a bracket that is not closed"
            raise _RefusedError(
                Fault("yaml-depth", where, what, f"level {MAX_DEPTH + 1}", f"at most {MAX_DEPTH} levels", todo)
            )
        mapping = isinstance(event, yaml.MappingStartEvent)
        node = Node(where, entries={}) if mapping else Node(where, items=[])
        self._open.append(_Open(node, event.anchor))

    def _place(self, node: Node, where: str, anchor: str | None) -> None:
        """Puts a complete node into the list or mapping that is open around it."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        around = self._open[-1]
        parent = around.node
        if parent.items is not None:
            parent.items.append(node)
        elif around.waiting:
            around.waiting = False
            return
        elif around.key is None:
            self._key(around, node, where)
            return
        elif parent.entries is not None:
            name, key_where = around.key
            around.key = None
            parent.entries[name] = (key_where, node)
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)

    def _key(self, around: _Open, node: Node, where: str) -> None:
        entries = around.node.entries or {}
        if node.text is None:
            around.node.loose = True
            self._fault(
                "yaml-key", where, "a key is a mapping or a list", "`{` or `[`", "a text as key", "put braces in quotes"
            )
        elif node.text == "<<" and node.plain:
            around.node.loose = True
            self._fault(
                "yaml-merge",
                where,
                "merge keys are not part of YAML 1.2",
                "`<<`",
                "the keys themselves",
                "write them out",
            )
        elif node.text in entries:
            around.node.doubtful.add(node.text)
            first = entries[node.text][0]
            todo = "keep one of the two"
            self._fault(
                "duplicate-key",
                where,
                f"`{node.text[:60]}` is written twice",
                f"first at {first}",
                "each key once",
                todo,
            )
        else:
            around.key = (node.text, where)
            return
        around.waiting = True

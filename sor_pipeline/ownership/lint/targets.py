"""Whether corrections can be delivered where the document says so.

Belongs here: `target` of systems and sources. Does not: which fields may be written at all (`writing`).
"""

from __future__ import annotations

from string import Formatter
from urllib.parse import urlsplit

from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.source import Source
from sor_pipeline.ownership.target import Kind, Target

_PLACEHOLDERS = frozenset({"id", "object"})


def check_targets(book: Notebook) -> None:
    """target-incomplete, -host, -rest, -object, -without-system, -field, -key."""
    for name, system in book.ownership.systems.items():
        path: Path = ("systems", name, "target")
        if system.target is not None and book.gaps.whole(*path):
            _complete(book, path, system.target)
            _hosts(book, path, system.target)
            _rest(book, path, system.target)
    for path, name, source in book.sources():
        known = book.ownership.systems.get(system_of(name))
        if known is not None and book.gaps.whole("systems", system_of(name), "target"):
            _source(book, path, name, source, known.target)


def _complete(book: Notebook, path: Path, target: Target) -> None:
    """What is needed to send is written down; a dry run needs none of it."""
    lacks = []
    if target.kind.http and not target.base:
        lacks.append("url")
    if target.kind is not Kind.files and not target.secret:
        lacks.append("secret")
    if target.auth == "header" and not target.header:
        lacks.append("header")
    if target.live and lacks:
        what = "a target that is live does not say all that is needed to send to it"
        missing = ", ".join(f"no `{one}`" for one in lacks)
        book.error("target-incomplete", path, what, missing, "both", "add it, or take `live` away")


def _hosts(book: Notebook, path: Path, target: Target) -> None:
    if not target.url or target.kind is Kind.table:
        return
    if "${" in target.url:
        if target.live and not target.hosts:
            what, todo = "which host is asked stands outside the document", "list the hosts that may be asked"
            book.error("target-host", path, what, "no `hosts`", "`hosts` beside a `url` with a variable", todo)
        return
    where = urlsplit(target.url)
    if where.scheme not in ("https", "http") or not where.hostname or where.username or where.password:
        what = "the address of a target cannot be used"
        book.error("target-host", (*path, "url"), what, where.scheme or "no scheme", "https://host", "correct it")
    elif where.scheme == "http" and not target.insecure:
        what = "a target is asked over plain HTTP: anybody on the way could read the secret"
        book.error("target-host", (*path, "url"), what, "http://", "https://", "use https; for tests `insecure: true`")
    elif target.hosts and where.hostname not in target.hosts:
        what = "the host of `url` is not in `hosts`"
        todo = "add it to `hosts`, or correct `url`"
        book.error("target-host", (*path, "hosts"), what, f"`{where.hostname}`", ", ".join(target.hosts), todo)


def _rest(book: Notebook, path: Path, target: Target) -> None:
    if target.kind is Kind.rest and target.rest is None:
        what, todo = "a target of kind `rest` says nothing about its requests", "add `rest: {path: ...}`"
        book.error("target-rest", path, what, "no `rest`", "the requests", todo)
    if target.rest is None:
        return
    if target.kind is not Kind.rest:
        what = f"`rest` does nothing for a target of kind `{target.kind}`"
        book.warn("setting-without-effect", (*path, "rest"), what, "`rest`", "kind `rest`", "remove it")
    for key, text in (("path", target.rest.path), ("read", target.rest.read or "/")):
        strange = _strange(text)
        if strange or not text.startswith("/"):
            found = f"`{strange}`" if strange else f"`{text}`"
            what = "a path begins with a slash and knows no other placeholders than `{id}` and `{object}`"
            book.error("target-rest", (*path, "rest", key), what, found, "`/people/{id}`", "correct it")
    if target.rest.batch > 1 and (target.rest.row is None or target.rest.results is None):
        what = (
            "several records in one request need `row`, their part of the body, and `results`, their part of the answer"
        )
        book.error(
            "target-rest", (*path, "rest", "batch"), what, f"{target.rest.batch}", "1", "add both, or `batch: 1`"
        )


def _strange(text: str) -> str:
    """The first placeholder that there is not; blank where all are known."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        return text
    return next((name or "{}" for name in names if name not in _PLACEHOLDERS), "")


def _source(book: Notebook, path: Path, name: str, source: Source, target: Target | None) -> None:
    system = system_of(name)
    if source.target is None:
        if target is not None and target.live and target.kind.http and source.accepts:
            what = f"`{name}` accepts corrections and its system is live, but nothing says what its records are there"
            todo = "add `target: {object: ...}` to the source, or empty `accepts`"
            book.error("target-object", path, what, "no `target`", "the tool's kind of record", todo)
        return
    if target is None:
        what = f"`{name}` says how it is addressed, but `{system}` has no `target`: nothing is sent"
        book.warn(
            "setting-without-effect", (*path, "target"), what, "no target", f"`systems.{system}.target`", "add it"
        )
        return
    for field in source.target.fields:
        if field not in source.accepts and book.gaps.whole(*path, "accepts"):
            what = f"`{name}` names the property of `{field}`, to which no correction is written"
            todo = "add it to `accepts`, or remove it here"
            book.warn(
                "setting-without-effect", (*path, "target", "fields", field), what, f"`{field}`", "accepted", todo
            )
    if len(source.key) > 1 and target.kind.http:
        what = f"the key of `{name}` has several columns: the tool's records cannot be addressed by it"
        todo = "deliver as `kind: files` or `kind: table`, or key the source by one column"
        book.error("target-key", path, what, ", ".join(source.key), "one column", todo)
    if source.target.upsert and source.target.id is None:
        what = "`upsert` writes by a property, and `id` does not say by which"
        book.error("target-key", (*path, "target"), what, "no `id`", "a property with unique values", "add `id`")

"""What a delivery shows that the document might say: warnings, told when a batch is landed.

Belongs here: mapped columns that lack, flags of deletion that nothing reads, rows that a cursor cannot place. Does
not: anything for which a delivery is refused (`refusals`).
"""

from __future__ import annotations

from sor_pipeline.errors import Fault
from sor_pipeline.extract.readers import has_column
from sor_pipeline.ownership.loaders import DELETED, LOADED_AT, deletion_texts
from sor_pipeline.ownership.source import Mode, Source


def lacking(source: str, spec: Source, delivery: str, columns: tuple[str, ...]) -> Fault | None:
    """Mapped columns that the delivery has not got."""
    names = tuple(dict.fromkeys(name for name in _mapped(spec) if not has_column(columns, name)))
    if not names:
        return None
    return Fault(
        "mapped-column-missing",
        f"{source}: {delivery}",
        "columns that the document maps are not delivered",
        ", ".join(names),
        "every mapped column",
        "correct the mapping or the delivery; until then they count as not observed",
        warning=True,
    )


def unread_deletion(source: str, spec: Source, columns: tuple[str, ...]) -> Fault | None:
    """A loader says which records are gone, and nothing listens: they would count as live."""
    column = next((name for name in DELETED if name in columns), None)
    if column is None or column in spec.extract.deleted or column in spec.only or spec.extract.mode is Mode.events:
        return None
    todo = f"write `mode: changes` and `deleted: {column}`"
    if spec.extract.mode is Mode.snapshot and "true" in deletion_texts(column):
        todo += f', or, reading the whole table, `only: {{{column}: ["false"]}}` beside `extract`'
    what = "the loader marks deleted records in a column that the document does not read: they count as live"
    return Fault("deletion-unread", source, what, column, "`deleted` names it", todo, warning=True)


def loading_as_change(source: str, spec: Source) -> Fault | None:
    """A time of loading taken for a time of change makes every re-sync news."""
    if spec.changed_at not in LOADED_AT:
        return None
    what = "`changed_at` names when the row was loaded, not when it changed: each re-sync would be the newest word"
    todo = "name the tool's own column, or leave `changed_at` out: then the first batch with that content says when"
    return Fault("loading-as-change", source, what, str(spec.changed_at), "a column of the tool", todo, warning=True)


def unplaced(source: str, spec: Source, rows: int) -> Fault | None:
    """Rows without a value of the cursor: they are read in every run."""
    if not rows:
        return None
    found = f"{rows:,} rows have no value in `{spec.extract.cursor}`"
    what = "rows that the cursor cannot place are read in every run, and compared with what was landed"
    todo = "name a column that is always filled, if there is one"
    return Fault("cursor-empty", source, what, found, "a value in every row", todo, warning=True)


def _mapped(spec: Source) -> list[str]:
    named = [column for mapping in spec.fields.values() for column in mapping.columns]
    return [*named, *([spec.changed_at] if spec.changed_at else []), *spec.only, *spec.extract.deleted]

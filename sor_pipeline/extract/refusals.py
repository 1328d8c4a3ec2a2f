"""Why a delivery is refused: every code, worded once.

Belongs here: faults that concern a whole delivery. Does not: reasons for which single rows are rejected
(`readers.Reason`). No message holds the text of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from sor_pipeline.errors import ExtractRefused, Fault


def refused(code: str, where: str, what: str, found: str = "", expected: str = "", todo: str = "") -> ExtractRefused:
    return ExtractRefused(Fault(code, where, what, found, expected, todo))


def outside(glob: str) -> ExtractRefused:
    todo = "correct `files`, or set SOR_EXTRACTS"
    return refused(
        "glob-outside", glob, "a glob leads out of the extracts folder", glob, "hubspot/contacts-*.csv", todo
    )


def unfinished(where: str) -> ExtractRefused:
    return refused(
        "unfinished-name",
        where,
        "the name says that it is still being written",
        todo="let the sender rename it when it is whole",
    )


def still_growing(where: str) -> ExtractRefused:
    return refused(
        "still-growing",
        where,
        "it changed while it was read",
        "another size or modification time",
        "a file that nobody writes any more",
        "it is tried again in the next run",
    )


def empty(where: str) -> ExtractRefused:
    return refused("empty-file", where, "the file is empty", "0 bytes", "at least a header", "deliver it again")


def unreadable(where: str, why: str) -> ExtractRefused:
    return refused(
        "unreadable", where, "it cannot be opened", why, "a readable file", "check its permissions and its disk"
    )


def damaged(where: str, why: str, expected: str) -> ExtractRefused:
    return refused(
        "damaged",
        where,
        "its content does not follow its format",
        why,
        expected,
        "deliver it again, or correct `format`",
    )


def truncated(where: str, why: str) -> ExtractRefused:
    return refused("truncated", where, "the end is missing", why, "a whole file", "deliver it again")


def unknown_format(where: str, found: str) -> ExtractRefused:
    return refused(
        "unknown-format",
        where,
        "no reader for such a file",
        found,
        "csv, tsv, jsonl, json, parquet, excel",
        "name the `format` in the extract",
    )


def wrong_encoding(where: str, found: str, declared: str) -> ExtractRefused:
    return refused(
        "wrong-encoding", where, "the text is not in the declared encoding", found, declared, "correct `encoding`"
    )


def unknown_dialect(where: str, what: str, found: str) -> ExtractRefused:
    return refused("unknown-dialect", where, what, found, "one character of ASCII", "correct the extract's dialect")


def unterminated_quote(where: str, row: int) -> ExtractRefused:
    return refused(
        "unterminated-quote",
        where,
        "a quote is opened and never closed: the file is cut off or damaged",
        f"from data row {row} on",
        "every quote closed",
        "deliver it again, or correct `quote`",
    )


def row_too_long(where: str, row: int, limit: int) -> ExtractRefused:
    return refused(
        "row-too-long",
        where,
        "a row has no end",
        f"data row {row} is longer than {limit >> 20} MiB",
        "shorter rows; a stray quote often swallows the rest of a file",
        "deliver it again, or correct `quote`",
    )


def missing_header(where: str, found: str) -> ExtractRefused:
    return refused(
        "missing-header",
        where,
        "a column has no name",
        found,
        "a name in every cell of the header",
        "correct `header_row`, or the delivery",
    )


def duplicate_header(where: str, names: Sequence[str]) -> ExtractRefused:
    return refused(
        "duplicate-header",
        where,
        "columns share a name (case does not tell them apart)",
        ", ".join(names),
        "every column named once",
        "correct the delivery",
    )


def reserved_header(where: str, name: str) -> ExtractRefused:
    return refused(
        "reserved-header",
        where,
        "a column has a name that landing uses itself",
        name,
        "any other name",
        "rename the column",
    )


def bad_header(where: str, why: str) -> ExtractRefused:
    return refused(
        "bad-header",
        where,
        "the header cannot be read",
        why,
        "column names",
        "correct `header_row`, `encoding` or `quote`",
    )


def missing_key(where: str, missing: Sequence[str], header: Sequence[str]) -> ExtractRefused:
    shown = ", ".join(header[:30]) + (", …" if len(header) > 30 else "")
    return refused(
        "missing-key",
        where,
        "the source's key column is missing",
        shown or "no columns",
        ", ".join(missing),
        "correct `key`, `delimiter` or `header_row`, or the delivery",
    )


def missing_records(where: str, found: str, path: str | None) -> ExtractRefused:
    return refused(
        "missing-records",
        where,
        "no list of records",
        found,
        f"a list at `{path}`" if path else "a list of objects",
        "correct `records`",
    )


def missing_sheet(where: str, sheet: str, present: Sequence[str]) -> ExtractRefused:
    return refused("missing-sheet", where, f"no sheet `{sheet}`", ", ".join(present), sheet, "correct `sheet`")


def too_many_bad_rows(where: str, bad: int, rows: int, limit: float, reasons: str) -> ExtractRefused:
    return refused(
        "too-many-bad-rows",
        where,
        "too many rows cannot be read",
        f"{bad:,} of {rows:,} rows: {reasons}",
        f"at most {limit:.2%}",
        "correct the delivery or its dialect, or raise `limits.bad_rows`",
    )


def row_count_differs(where: str, found: int, expected: int) -> ExtractRefused:
    return refused(
        "row-count-differs",
        where,
        "two counts of its rows differ",
        f"{found:,} rows read",
        f"{expected:,} rows counted",
        "report it: nothing was landed",
    )


def broken_promise(where: str, what: str, found: object, expected: object) -> ExtractRefused:
    return refused(
        "manifest-differs", where, f"the manifest promises other {what}", str(found), str(expected), "deliver it again"
    )


def bad_manifest(where: str, why: str) -> ExtractRefused:
    return refused(
        "bad-manifest",
        where,
        "its manifest is missing or cannot be read",
        why,
        "manifest.json beside the file, with `as_of`",
        "deliver the manifest, or use `as_of: name`",
    )


def query_failed(where: str, why: str, todo: str = "") -> ExtractRefused:
    """`why` must not hold parameters or the URL: either may be secret."""
    todo = todo or "correct `url`, `table` or `query`"
    return refused("query-failed", where, "the database does not answer", why, "rows", todo)


def unreachable(where: str, why: str) -> ExtractRefused:
    todo = "see that it runs and can be reached from here, and that `url` is right; it is tried again in the next run"
    what = "the database cannot be reached, or the connection was lost"
    return refused("database-unreachable", where, what, why, "a connection that lasts", todo)


def missing_cursor(where: str, name: str, header: Sequence[str]) -> ExtractRefused:
    shown = ", ".join(header[:30]) + (", …" if len(header) > 30 else "")
    return refused("missing-cursor", where, "the cursor's column is missing", shown, name, "correct `cursor`")


def unusable_cursor(where: str, name: str, why: str) -> ExtractRefused:
    """`why` must not hold a value."""
    expected = "a time, a date, a number or a text, and an `overlap` that can be taken from it"
    todo = "name another column in `cursor`, or correct `overlap`"
    return refused("unusable-cursor", where, f"`{name}` cannot be a cursor", why, expected, todo)


def gone(source: str, place: str) -> ExtractRefused:
    what = "a landed file is gone while what is read is compared with it"
    return refused("landing-missing", source, what, "no file", place, "restore it, or run again")

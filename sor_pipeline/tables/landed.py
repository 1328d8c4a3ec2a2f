"""What was delivered and how it was staged.

Belongs here: schemas `landing` and `staged`, and the account of every row. Does not: what is made of records.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.ownership.matching import Linked
from sor_pipeline.tables.cells import link_column, staged_name
from sor_pipeline.tables.columns import Drawing, count, key, key_count, stored_type, text, time

ACCOUNT = ("read", "new", "unchanged", "superseded", "duplicate", "rejected", "deleted")
"""Counts of `audit.account`; `deleted` counts records, not rows, and is not part of the sum."""


class Landed(Drawing):
    """`staged[source]`, and one table each for batches, deliveries, refusals, rejects and accounts."""

    def _of_deliveries(self) -> None:
        """What came and how it was staged: no name of the document is in these."""
        table = self._table
        self.batch = table(
            "landing", "batch", "One row per batch: one delivered extract, landed as Parquet.",
            key("source"), key("batch", "as_of and the start of the content's digest"),
            time("as_of", "logical time of the batch"), text("delivered_as", "name under which it came"),
            text("content", "SHA-256 of the delivered bytes"), text("columns", "header, as a JSON array"),
            count("rows", "rows landed"), count("bad_rows", "rows that could not be read; see <batch>.rejects.parquet"),
            text("types", "column: type where the delivery had one, as a JSON object"),
            text("position", "up to where the extract's cursor had read with this batch; the next extract goes on from it"),
            count("unplaced", "rows without a value of the cursor"), text("checksum", "SHA-256 of the landed file"),
            count("_publication"),
        )  # fmt: skip
        self.delivery = table(
            "landing", "delivery", "One row per name under which something was delivered, as last seen: unchanged ones are not read again.",
            key("source"), key("delivered_as"), count("size", "bytes"), count("modified_ns"),
            text("content", "SHA-256 of the delivered bytes"), text("batch", "null where it was refused"),
        )  # fmt: skip
        self.refusal = table(
            "landing", "refusal", "One row per delivery that was refused, until it is delivered well.",
            key("source"), key("delivered_as"), text("content", "SHA-256 of the delivered bytes"),
            text("code"), text("message"), time("refused_at"),
        )  # fmt: skip
        self.source_state = table(
            "staged", "source_state", "One row per source: what its staged records were made with.",
            key("source"), text("fingerprint", "of mapping and types"), time("as_of", "newest batch staged"),
        )  # fmt: skip
        self.reject = table(
            "staged", "reject", "One row per rejected row (field empty) or rejected cell.",
            key("source"), key("batch"), key_count("row", "row number in the batch, from 1"), key("field"),
            text("source_key"), text("column", "the source's column"), text("raw", "as delivered"), text("reason"),
            count("_publication"),
        )  # fmt: skip
        self.account = table(
            "audit", "account", "One row per staged batch: read = new + unchanged + superseded + duplicate + rejected.",
            key("source"), key("batch"), *(count(n) for n in ACCOUNT), count("_publication"),
        )  # fmt: skip

    def _staged(self, source: str) -> sa.Table:
        """Grain: one current record of the source; key `_key`."""
        spec = self.ownership.sources[source]
        columns: list[sa.Column[Any]] = [
            key("_key", "source key; several columns are joined with |, which a backslash precedes inside a column"),
            time("_changed_at", "when the row says that it last changed, else as_of"),
            time("_as_of", "of the batch that made the record what it is"),
            text("_batch"),
            count("_row"),
            text("_digest", "of the mapped cells as delivered: equal means unchanged"),
            time("_deleted_at", "null while the record lives"),
            count("_publication"),
        ]
        columns += [
            text(link_column(c), f"{c} as delivered: another record's key") for c in self.linked_columns(source)
        ]
        for name in spec.fields:
            field = self._fields(spec.entity)[name]
            columns.append(sa.Column(name, stored_type(field), comment=field.title or name))
            if field.kind.folds:
                columns.append(text(f"{name}__cmp", "comparable form"))
            columns.append(
                sa.Column(f"{name}__state", sa.SmallInteger, comment="0 never, 1 value, 2 cleared, 3 placeholder")
            )
            columns.append(time(f"{name}__since", "when this source's value changed"))
            if name in spec.accepts:
                columns.append(text(f"{name}__raw", "as delivered"))
        return self._table("staged", staged_name(source), f"One row per record of {source}.", *columns)

    def linked_columns(self, source: str) -> tuple[str, ...]:
        """Columns of the source that a `linked` rule of its entity reads."""
        rules = self.ownership.entities[self.ownership.sources[source].entity].match
        holders = [holder for rule in rules if isinstance(rule, Linked) for holder in rule.linked]
        mine = (holder.removeprefix(f"{source}.") for holder in holders if holder.startswith(f"{source}."))
        return tuple(dict.fromkeys(mine))

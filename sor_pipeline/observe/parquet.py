"""The conformed tables as Parquet files with a manifest, for whoever reads no database.

    <folder>/manifest.json      publication, published_at, and per table: file, rows, columns, SHA-256
    <folder>/<table>.parquet    the rows in the order of the table's grain

A folder is made whole beside its place and renamed: a reader finds the export of one publication, all
of it. Where an older export is in the place, it is moved aside first; between the two renames, for
an instant, there is no folder.

Belongs here: the files and the manifest. Does not: which tables there are (`tables`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sor_pipeline.engine.files import put_in_place
from sor_pipeline.errors import Fault, NeverPublished, SettingsError
from sor_pipeline.run import Run
from sor_pipeline.tables import grain

MANIFEST = "manifest.json"
FORMAT = "sor-export/1"
_MAKING = ".exporting-"


@dataclass(frozen=True)
class Exported:
    """What an export holds."""

    publication: int
    tables: int
    rows: int


def export(run: Run, folder: Path) -> Exported:
    """Write the conformed tables of the last publication to `folder`, in place of an earlier export there.

    Raises NeverPublished before the first publication; SettingsError where `folder` holds anything else.
    """
    folder = folder.resolve()
    _refuse_what_is_not_ours(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_MAKING, dir=folder.parent) as beside:
        fresh = Path(beside) / "fresh"
        fresh.mkdir()
        manifest = _write(run, fresh)
        _swap(fresh, folder, Path(beside) / "old")
    tables = manifest["tables"]
    return Exported(manifest["publication"], len(tables), sum(one["rows"] for one in tables.values()))


def _write(run: Run, folder: Path) -> dict[str, Any]:
    """All tables in one transaction, so that they are of one publication."""
    publication = run.tables.publication
    conformed = [table for table in run.tables.metadata.sorted_tables if table.schema == publication.schema]
    with run.engine.begin() as connection:
        number = run.published(connection)
        if not number:
            raise NeverPublished(
                Fault("never-published", str(folder), "nothing is published yet", "", "a publication",
                      "run `sor run` first")
            )  # fmt: skip
        last = sa.select(publication.c.published_at, publication.c.fingerprint)
        row = connection.execute(last.where(publication.c.publication == number)).one()
        tables = {
            table.name: _table(table, run.engine.fetch(connection, sa.select(table).order_by(*grain(table))), folder)
            for table in sorted(conformed, key=lambda table: table.name)
        }
    manifest = {
        "format": FORMAT, "publication": number, "published_at": row.published_at.isoformat() + "Z",
        "fingerprint": row.fingerprint, "tables": tables,
    }  # fmt: skip
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{MANIFEST}.new").write_text(text, encoding="utf-8")
    put_in_place(folder / f"{MANIFEST}.new", folder / MANIFEST)
    return manifest


def _table(table: sa.Table, rows: pa.Table, folder: Path) -> dict[str, Any]:
    """One file, and its entry in the manifest."""
    file = folder / f"{table.name}.parquet"
    comments = {column.name: column.comment or "" for column in table.columns}
    described = [field.with_metadata({"comment": comments[field.name]}) for field in rows.schema]
    rows = rows.cast(pa.schema(described, metadata={"comment": table.comment or ""}))
    pq.write_table(rows, file, compression="zstd")
    with file.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    return {
        "file": file.name,
        "comment": table.comment or "",
        "rows": rows.num_rows,
        "bytes": file.stat().st_size,
        "sha256": digest,
        "grain": [column.name for column in grain(table)],
        "columns": [{"name": f.name, "type": str(f.type), "comment": comments[f.name]} for f in rows.schema],
    }


def _refuse_what_is_not_ours(folder: Path) -> None:
    """An export replaces the folder, so the folder must hold nothing but an export."""
    if not folder.exists():
        return
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    strangers = present - _files_of(folder / MANIFEST)
    if strangers:
        raise SettingsError(
            Fault("folder-in-use", str(folder), "an export would replace what is here",
                  ", ".join(sorted(strangers)[:5]),
                  "a folder that is new, empty, or an earlier export and nothing else", "name another folder")
        )  # fmt: skip


def _files_of(manifest: Path) -> set[str]:
    """The files of the export that this manifest describes; none where it is not one of ours."""
    try:
        said = json.loads(manifest.read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            return set()
        return {MANIFEST, *(one["file"] for one in said["tables"].values())}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _swap(fresh: Path, folder: Path, aside: Path) -> None:
    """`fresh` becomes `folder`. Where that fails, what was there is put back."""
    there = folder.exists()
    if there:
        folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        if there:
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)

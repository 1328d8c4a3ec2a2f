"""Files of the outbox as a way of delivering: what `correct` wrote is handed over.

Belongs here: whether the file is there. Does not: writing it (`correct.outbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sor_pipeline.deliver.connector import Answer, Held, Record


class Files:
    """The corrections of one source in the file of a publication; nobody can say what the tool holds."""

    limit = 10_000
    reads = False

    def __init__(self, folder: Path, source: str, publication: int) -> None:
        self._file = folder / f"{publication}-{source}.csv"

    def read(self, records: Sequence[Record]) -> dict[str, Held]:  # noqa: ARG002 (a file tells nothing about a tool)
        return {}

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:  # noqa: ARG002 (see read)
        answer = Answer("accepted", "file") if self._file.exists() else Answer("failed", "no-file")
        return {record.key: answer for record in records}

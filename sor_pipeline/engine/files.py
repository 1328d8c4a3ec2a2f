"""Putting a file in place whole: whoever opens it finds the old one or the new one.

Belongs here: the rename and what makes it last. Does not: what is in the file.
"""

from __future__ import annotations

import os
from pathlib import Path

UNFINISHED = ".part"
"""Ends the name of a file that `put_text` has not put in place."""


def put_text(path: Path, text: str) -> None:
    """The file with this text, put in place whole; one that says the same already is not touched."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return
    fresh = path.with_name(f".{path.name}{UNFINISHED}")
    fresh.write_bytes(content)
    put_in_place(fresh, path)


def put_in_place(fresh: Path, target: Path) -> None:
    """`fresh`, complete and on the same file system, becomes `target`: on the disk too, before anybody relies on it."""
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Deliveries of another shape than the one before: what differs, and what the document says to do then.

Belongs here: comparing columns and types, the subject under which a person accepts a difference. Does not: a missing
key (always refused), mapped columns that lack (`step`), what stands in the cells.

Compared is with the newest landed batch that is not later than the delivery, without the columns of loaders. A format
without a header (JSON) shows a column only where a record has it: there, only a column that no batch ever had counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sor_pipeline.errors import ExtractRefused, Fault, SchemaDrifted
from sor_pipeline.extract.landing import Batch
from sor_pipeline.ownership.loaders import is_bookkeeping
from sor_pipeline.ownership.source import Drift

_SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """Columns by name; `retyped` with the former and the present type."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[tuple[str, str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.retyped)

    @property
    def digest(self) -> str:
        """Of exactly this difference."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        retyped = [f"{name} ({before}, now {now})" for name, before, now in self.retyped]
        parts = (("added", self.added), ("removed", self.removed), ("retyped", retyped))
        return "; ".join(f"{what} {_few(names)}" for what, names in parts if names)


def difference(
    batches: Iterable[Batch], as_of: datetime, columns: Sequence[str], types: Mapping[str, str], *, header: bool
) -> Difference:
    """What is other than in the batch before `as_of`; nothing where there is none. `header`: the format has one."""
    earlier = sorted((batch for batch in batches if batch.as_of <= as_of), key=lambda batch: (batch.as_of, batch.batch))
    if not earlier:
        return Difference((), (), ())
    before = earlier[-1]
    known = set(before.columns) if header else {name for batch in earlier for name in batch.columns}
    added = sorted(name for name in columns if name not in known and not is_bookkeeping(name))
    removed = sorted(name for name in before.columns if name not in columns and not is_bookkeeping(name))
    both = sorted(name for name in before.types.keys() & types.keys() if not is_bookkeeping(name))
    retyped = [(name, before.types[name], types[name]) for name in both if before.types[name] != types[name]]
    return Difference(tuple(added), tuple(removed) if header else (), tuple(retyped))


def subject(source: str, found: Difference) -> str:
    """Under which name a person accepts the difference in `steward.acceptance`."""
    return f"drift:{source}:{found.digest}"


def judged(source: str, delivery: str, found: Difference, drift: Drift, *, accepted: bool) -> Fault:
    """The warning with which the delivery is taken. Raises ExtractRefused (hold), SchemaDrifted (stop)."""
    name = subject(source, found)
    what, expected = "the delivery has another shape than the one before", "the columns of the newest batch"
    if drift is Drift.accept or accepted:
        todo = "see whether the mapping should read what is new; `drift: hold` waits for a person instead"
        return Fault("schema-drift", f"{source}: {delivery}", what, str(found), expected, todo, warning=True)
    todo = f"correct the delivery, or accept it with `sor accept {name}`; it is tried again in every run"
    kind = ExtractRefused if drift is Drift.hold else SchemaDrifted
    raise kind(Fault("schema-drift", f"{source}: {delivery}", what, str(found), expected, todo))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""What the delivery asks of a tool: the protocol of a connector, and the words that both sides use.

Belongs here: nouns and signals. Does not: any tool, any request.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from sor_pipeline.ownership.fieldtypes import Stored

Result = Literal["accepted", "refused", "failed", "superseded", "unknown"]


@dataclass(frozen=True)
class Write:
    """One correction: one property of one record. `observed` and `wanted` are the target's own texts."""

    field: str
    name: str
    observed: str | None = dataclasses.field(repr=False)
    wanted: str = dataclasses.field(repr=False)
    proposed_in: int
    attempt: int
    stored: Stored = Stored.text
    personal: bool = False
    unsure: bool = False
    """Whether an earlier attempt was sent and its answer never came."""


@dataclass(frozen=True)
class Record:
    """The corrections of one record, sent together. Keys are personal data where they are addresses: not shown."""

    source: str
    key: str = dataclasses.field(repr=False)
    writes: tuple[Write, ...]

    @property
    def idempotency_key(self) -> str:
        """32 hex digits: the same for the same corrections of the same record, whoever sends them and when."""
        parts = [self.source, self.key]
        for write in sorted(self.writes, key=lambda one: one.field):
            parts += [write.field, str(write.proposed_in), write.wanted]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]

    @property
    def header_key(self) -> str:
        """The idempotency key as the tool sees it: another one once an attempt is known not to have been applied.

        Tools keep the answer of a key, failures too, and would give it again instead of trying.
        """
        attempt = max(write.attempt for write in self.writes)
        return self.idempotency_key if attempt == 1 else f"{self.idempotency_key}-{attempt}"

    def only(self, writes: Sequence[Write]) -> Record:
        return replace(self, writes=tuple(writes))


@dataclass(frozen=True)
class Held:
    """What the tool holds of a record now: its texts by property, its own id, and what a native condition needs."""

    values: Mapping[str, str | None] = dataclasses.field(repr=False)
    ident: str = dataclasses.field(default="", repr=False)
    mark: str = ""


@dataclass(frozen=True)
class Answer:
    """What the tool said about one record. `again`: not applied, and worth another try (a lock)."""

    result: Result | Literal["again"]
    status: str = ""
    message: str = dataclasses.field(default="", repr=False)


class Connector(Protocol):
    """The records of one source in its tool."""

    limit: int
    """Records per request at most."""
    reads: bool
    """Whether the tool can say what it holds."""

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        """By the record's key; what the tool does not have is missing. Raises Halted."""
        ...

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        """By the record's key; a record about which nothing is said is missing: its outcome is not known.

        Raises Unsure, BatchRefused, Halted.
        """
        ...


class Signal(Exception):
    """What interrupts a conversation with a tool; `status` is the tool's code, never a value."""

    def __init__(self, status: str, message: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.message = message


class Unsure(Signal):
    """Sent, and nobody knows whether it was applied: timed out, connection lost, server error."""


class BatchRefused(Signal):
    """The tool refused the whole request because of something in it; nothing of it was applied."""


class Halted(Signal):
    """Nothing more can be sent to this system in this run; nothing of this request was applied."""

    code = "delivery-unreachable"


class Denied(Halted):
    """The secret is not good, or not for this."""

    code = "delivery-denied"


class Limited(Halted):
    """The tool's limit is used up for longer than is worth waiting for."""

    code = "delivery-limited"


class Misdirected(Halted):
    """The tool wants to be asked somewhere else, or the document names a place that may not be asked."""

    code = "delivery-misdirected"


class Doubted(Halted):
    """One record after the other is refused alike, and none was taken: it is not about the records."""

    code = "delivery-doubted"


class Stopped(Halted):
    """Somebody turned the kill switch."""

    code = "delivery-stopped"

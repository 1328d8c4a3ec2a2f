"""Stripe: one object per request, as a form, under an idempotency key.

Belongs here: `GET` and `POST /v1/{object}/{id}`. Does not: requests themselves (`http`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from sor_pipeline.deliver.comparing import text_of
from sor_pipeline.deliver.connector import Answer, Halted, Held, Record, Unsure
from sor_pipeline.deliver.http import Client, dug, refusal
from sor_pipeline.deliver.nesting import form
from sor_pipeline.deliver.secrets import scrubbed
from sor_pipeline.ownership.target import SourceTarget


class Stripe:
    """The records of one source as objects of Stripe, e.g. customers."""

    limit = 1
    reads = True

    def __init__(self, client: Client, place: SourceTarget, version: str | None = None) -> None:
        self._client = client
        self._path = f"/v1/{place.object}"
        self._version = {"Stripe-Version": version} if version else {}

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        found = {}
        for record in records:
            reply = self._client.ask("GET", self._of(record), headers=self._version)
            if reply.status == 404 or dug(reply.body, "deleted") is True:
                continue
            if not reply.fine:
                raise Halted(refusal(reply, "error.code", "error.type"))
            values = {write.name: text_of(dug(reply.body, write.name)) for write in record.writes}
            found[record.key] = Held(values, record.key)
        return found

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:  # noqa: ARG002 (its own id is the key)
        return {record.key: self._one(record) for record in records}

    def _one(self, record: Record) -> Answer:
        reply = self._client.tell(
            "POST",
            self._of(record),
            data=form({write.name: write.wanted for write in record.writes}),
            headers={"Idempotency-Key": record.header_key, **self._version},
        )
        if reply.fine:
            if dug(reply.body, "id") is None:
                raise Unsure("unreadable")
            return Answer("accepted", str(reply.status))
        word = refusal(reply, "error.code", "error.type")
        if reply.status == 409:
            return Answer("again", word)
        return Answer("refused", word, scrubbed(dug(reply.body, "error.message"), record))

    def _of(self, record: Record) -> str:
        return f"{self._path}/{quote(record.key, safe='')}"

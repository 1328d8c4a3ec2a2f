"""HubSpot: batches of CRM objects, read and written by their id or by a property with unique values.

Belongs here: `/crm/v3/objects/{object}/batch/read`, `/batch/update`, `/batch/upsert`, and their 207 answers.
Does not: requests themselves (`http`).

Every input carries an `objectWriteTraceId`: with it HubSpot answers per record, and names the record in errors.
Texts are sent as they are, because HubSpot keeps every property as text; a blank clears it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sor_pipeline.deliver.comparing import text_of
from sor_pipeline.deliver.connector import Answer, BatchRefused, Halted, Held, Record, Unsure
from sor_pipeline.deliver.http import Client, Reply, dug, refusal
from sor_pipeline.deliver.secrets import code_of, scrubbed
from sor_pipeline.ownership.target import SourceTarget

_NAMING = ("objectWriteTraceId", "objectWriteTraceIds", "id", "ids")


class HubSpot:
    """The records of one source as objects of HubSpot."""

    limit = 100
    reads = True

    def __init__(self, client: Client, place: SourceTarget) -> None:
        self._client = client
        self._place = place
        self._path = f"/crm/v3/objects/{place.object}/batch"

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        names = sorted({write.name for record in records for write in record.writes})
        by = self._place.id
        body: dict[str, Any] = {
            "properties": [*names, *([by] if by else [])],
            "inputs": [{"id": record.key} for record in records],
        }
        if by:
            body["idProperty"] = by
        reply = self._client.ask("POST", f"{self._path}/read", json=body)
        if not reply.fine:
            raise Halted(refusal(reply, "category"))
        found: dict[str, Held] = {}
        for one in dug(reply.body, "results") or []:
            values = {name: text_of(text) for name, text in (one.get("properties") or {}).items()}
            held = Held(values, str(one.get("id")), str(one.get("updatedAt") or ""))
            key = str(values.get(by) or "") if by else held.ident
            found[key.casefold()] = held
        return {record.key: found[record.key.casefold()] for record in records if record.key.casefold() in found}

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        upsert = self._place.upsert
        inputs = [self._input(record, held) for record in records]
        reply = self._client.tell("POST", f"{self._path}/{'upsert' if upsert else 'update'}", json={"inputs": inputs})
        if not reply.fine:
            raise BatchRefused(refusal(reply, "category"), str(dug(reply.body, "message") or ""))
        if not isinstance(reply.body, dict):
            raise Unsure("unreadable")
        return self._answers(reply, records, held)

    def _input(self, record: Record, held: Mapping[str, Held]) -> dict[str, Any]:
        properties = {write.name: write.wanted for write in record.writes}
        shared = {"properties": properties, "objectWriteTraceId": record.header_key}
        if self._place.upsert:
            return {"id": record.key, "idProperty": self._place.id, **shared}
        return {"id": held[record.key].ident, **shared}

    def _answers(self, reply: Reply, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        """What neither stands among the results nor is named in an error stays without an answer."""
        names: dict[str, Record] = {}
        for record in records:
            names |= {record.header_key: record, record.key: record}
            if record.key in held:
                names[held[record.key].ident] = record
        answers: dict[str, Answer] = {}
        for one in dug(reply.body, "results") or []:
            record_or_none = names.get(str(one.get("objectWriteTraceId"))) or names.get(str(one.get("id")))
            if record_or_none:
                answers[record_or_none.key] = Answer("accepted", str(reply.status))
        for error in dug(reply.body, "errors") or []:
            word = code_of(error.get("category")) or "error"
            for name in _named(error):
                if name in names:
                    record = names[name]
                    answers[record.key] = Answer("refused", word, scrubbed(error.get("message"), record))
        return answers


def _named(error: dict[str, Any]) -> Iterator[str]:
    """The ids and traces that an error is about."""
    context = error.get("context") or {}
    for key in _NAMING:
        said = context.get(key) or []
        yield from (str(one) for one in (said if isinstance(said, list) else [said]))

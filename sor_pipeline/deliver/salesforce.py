"""Salesforce: collections of sObjects, with a flag for every row.

Belongs here: `composite/sobjects` (retrieve, PATCH by id or external id), `composite/batch` for reading by external
id. Does not: requests themselves (`http`); signing in (the secret is an access token).

Without `upsert` rows are written by the id that reading found, so that nothing is ever created.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sor_pipeline.deliver.comparing import json_value, text_of
from sor_pipeline.deliver.connector import Answer, BatchRefused, Halted, Held, Record, Unsure
from sor_pipeline.deliver.http import Client, dug, refusal
from sor_pipeline.deliver.secrets import code_of, scrubbed
from sor_pipeline.ownership.target import SourceTarget

VERSION = "v61.0"
_AT_ONCE = 25
"""Subrequests of a composite batch."""
_AGAIN = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG"})


class Salesforce:
    """The records of one source as sObjects of one type."""

    limit = 200
    reads = True

    def __init__(self, client: Client, place: SourceTarget, version: str | None = None) -> None:
        self._client = client
        self._place = place
        self._version = version or VERSION
        self._path = f"/services/data/{self._version}"

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        names = sorted({write.name for record in records for write in record.writes} | {"Id"})
        rows = self._by_external_id(records, names) if self._place.id else self._by_id(records, names)
        return {
            record.key: Held({name: text_of(row.get(name)) for name in names}, str(row.get("Id") or ""))
            for record, row in zip(records, rows, strict=True)
            if isinstance(row, dict) and row.get("Id")
        }

    def _by_id(self, records: Sequence[Record], names: list[str]) -> list[Any]:
        body = {"ids": [record.key for record in records], "fields": names}
        reply = self._client.ask("POST", f"{self._path}/composite/sobjects/{self._place.object}", json=body)
        if not reply.fine or not isinstance(reply.body, list) or len(reply.body) != len(records):
            raise Halted(refusal(reply, "0.errorCode"))
        return reply.body

    def _by_external_id(self, records: Sequence[Record], names: list[str]) -> list[Any]:
        """Rows in the records' order; None for what is not there, and for ids that are not unique."""
        rows: list[Any] = []
        for start in range(0, len(records), _AT_ONCE):
            some = records[start : start + _AT_ONCE]
            where = f"{self._version}/sobjects/{self._place.object}/{self._place.id}"
            asked = [
                {"method": "GET", "url": f"{where}/{quote(record.key, safe='')}?fields={','.join(names)}"}
                for record in some
            ]
            reply = self._client.ask("POST", f"{self._path}/composite/batch", json={"batchRequests": asked})
            results = dug(reply.body, "results")
            if not reply.fine or not isinstance(results, list) or len(results) != len(some):
                raise Halted(refusal(reply, "0.errorCode"))
            rows += [one.get("result") if one.get("statusCode") == 200 else None for one in results]
        return rows

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        path = f"{self._path}/composite/sobjects"
        if self._place.upsert:
            path = f"{path}/{self._place.object}/{self._place.id}"
        body = {"allOrNone": False, "records": [self._row(record, held) for record in records]}
        reply = self._client.tell("PATCH", path, json=body)
        if not reply.fine:
            raise BatchRefused(refusal(reply, "0.errorCode"), str(dug(reply.body, "0.message") or ""))
        if not isinstance(reply.body, list) or len(reply.body) != len(records):
            raise Unsure("unreadable")
        return {record.key: _answer(record, one) for record, one in zip(records, reply.body, strict=True)}

    def _row(self, record: Record, held: Mapping[str, Held]) -> dict[str, Any]:
        known = {str(self._place.id): record.key} if self._place.upsert else {"id": held[record.key].ident}
        values = {write.name: json_value(write.wanted, write.stored) for write in record.writes}
        return {"attributes": {"type": self._place.object}, **known, **values}


def _answer(record: Record, one: Any) -> Answer:
    if dug(one, "success") is True:
        return Answer("accepted", "200")
    word = code_of(dug(one, "errors.0.statusCode")) or "error"
    if word in _AGAIN:
        return Answer("again", word)
    return Answer("refused", word, scrubbed(dug(one, "errors.0.message"), record))

"""A tool that the document describes: its requests as templates.

Belongs here: filling templates and reading answers as `RestTarget` says. Does not: requests themselves (`http`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sor_pipeline.deliver.comparing import json_value, text_of
from sor_pipeline.deliver.connector import Answer, BatchRefused, Halted, Held, Record, Unsure
from sor_pipeline.deliver.http import Client, Reply, dug, refusal
from sor_pipeline.deliver.nesting import form, nested
from sor_pipeline.deliver.secrets import scrubbed
from sor_pipeline.ownership.target import RestTarget, SourceTarget


class Rest:
    """The records of one source in a tool with requests as `spec` says."""

    def __init__(self, client: Client, place: SourceTarget, spec: RestTarget) -> None:
        self._client = client
        self._place = place
        self._spec = spec
        self.limit = spec.batch
        self.reads = spec.read is not None

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        found = {}
        for record in records:
            reply = self._client.ask("GET", self._path(str(self._spec.read), record.key))
            if reply.status in (404, 410):
                continue
            if not reply.fine:
                raise Halted(refusal(reply, self._spec.error_code))
            held = dug(reply.body, self._spec.values)
            if not isinstance(held, dict):
                raise Halted("unreadable")
            values = {write.name: text_of(dug(held, write.name)) for write in record.writes}
            found[record.key] = Held(values, record.key, reply.headers.get("etag", ""))
        return found

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        if self._spec.batch == 1:
            return {record.key: self._one(record, held.get(record.key)) for record in records}
        return self._many(records)

    def _one(self, record: Record, held: Held | None) -> Answer:
        reply = self._sent(self._filled(self._spec.body, record), record.key, record.header_key, held)
        if reply.status in (409, 412):  # locked, or changed since it was read: read and compare again
            return Answer("again", str(reply.status))
        return self._judged(reply.status, reply.body, record)

    def _many(self, records: Sequence[Record]) -> dict[str, Answer]:
        rows = [self._filled(self._spec.row, record) for record in records]
        key = records[0].header_key
        reply = self._sent(_put(self._spec.body, {"{records}": rows, "{key}": key}), "", key, None)
        if not reply.fine:
            raise BatchRefused(refusal(reply, self._spec.error_code))
        items = dug(reply.body, str(self._spec.results))
        if not isinstance(items, list):
            raise Unsure("unreadable")
        named = {text_of(dug(item, self._spec.result_id)): item for item in items}
        return {
            record.key: self._judged(reply.status, named[record.key], record)
            for record in records
            if record.key in named
        }

    def _sent(self, body: Any, ident: str, key: str, held: Held | None) -> Reply:
        headers = {self._spec.idempotency_header: key} if self._spec.idempotency_header else {}
        if self._spec.etag and held and held.mark:
            headers["If-Match"] = held.mark
        path = self._path(self._spec.path, ident)
        if self._spec.form:
            return self._client.tell(self._spec.method, path, data=body, headers=headers)
        return self._client.tell(self._spec.method, path, json=body, headers=headers)

    def _judged(self, status: int, body: Any, record: Record) -> Answer:
        """Done where the code is among `statuses` and every path of `success` holds what it must."""
        spec = self._spec
        if status in spec.statuses and all(text_of(dug(body, p)) == text_of(v) for p, v in spec.success.items()):
            return Answer("accepted", str(status))
        reply = Reply(status, body, {})
        return Answer("refused", refusal(reply, spec.error_code), scrubbed(dug(body, "error.message"), record))

    def _filled(self, template: Any, record: Record) -> Any:
        if self._spec.form:
            fields: Any = form({write.name: write.wanted for write in record.writes})
        else:
            fields = nested({write.name: json_value(write.wanted, write.stored) for write in record.writes})
        known = {"{id}": record.key, "{object}": self._place.object, "{fields}": fields, "{key}": record.header_key}
        return _put(template, known)

    def _path(self, path: str, ident: str) -> str:
        return path.format(id=quote(ident, safe=""), object=quote(self._place.object, safe=""))


def _put(template: Any, known: Mapping[str, Any]) -> Any:
    """The template with every text that is a placeholder replaced by its value, whole."""
    if isinstance(template, dict):
        return {key: _put(value, known) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_put(value, known) for value in template]
    return known.get(template, template) if isinstance(template, str) else template

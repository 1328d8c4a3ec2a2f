"""Zendesk: users, organizations and tickets, written by jobs that report on every record.

Belongs here: `show_many`, `update_many`, `job_statuses`. Does not: requests themselves (`http`).

Tickets carry `safe_update` and the moment of reading: Zendesk itself refuses a ticket that somebody changed since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sor_pipeline.deliver.comparing import json_value, text_of
from sor_pipeline.deliver.connector import Answer, BatchRefused, Halted, Held, Record, Unsure
from sor_pipeline.deliver.http import Client, dug, refusal
from sor_pipeline.deliver.nesting import nested
from sor_pipeline.deliver.secrets import code_of, scrubbed
from sor_pipeline.ownership.target import SourceTarget

PATIENCE = 60
"""How often a job is asked after, with growing pauses: about ten minutes."""
_TICKETS = "tickets"
_AGAIN = frozenset({"UpdateConflict", "DatabaseConflict", "LockTimeout"})
"""Locked, or changed since it was read: read and compared again."""


class Zendesk:
    """The records of one source as objects of Zendesk."""

    limit = 100
    reads = True

    def __init__(self, client: Client, place: SourceTarget) -> None:
        self._client = client
        self._place = place
        self._path = f"/api/v2/{place.object}"

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        by = self._place.id or "id"
        keys = ",".join(record.key for record in records)
        reply = self._client.ask("GET", f"{self._path}/show_many", params={f"{by}s": keys})
        if not reply.fine:
            raise Halted(refusal(reply, "error"))
        names = {write.name for record in records for write in record.writes}
        found = {}
        for one in dug(reply.body, self._place.object) or []:
            values = {name: text_of(dug(one, name)) for name in names}
            found[str(one.get(by))] = Held(values, str(one.get("id")), str(one.get("updated_at") or ""))
        return {record.key: found[record.key] for record in records if record.key in found}

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        body = {self._place.object: [self._change(record, held[record.key]) for record in records]}
        reply = self._client.tell("PUT", f"{self._path}/update_many", json=body)
        job = dug(reply.body, "job_status")
        if not reply.fine:
            raise BatchRefused(refusal(reply, "error"), str(dug(reply.body, "description") or ""))
        if not isinstance(job, dict) or not job.get("id"):
            raise Unsure("unreadable")
        return self._answers(self._ended(job), records, held)

    def _change(self, record: Record, held: Held) -> dict[str, Any]:
        values = nested({write.name: json_value(write.wanted, write.stored) for write in record.writes})
        safe = {"safe_update": True, "updated_stamp": held.mark} if self._place.object == _TICKETS and held.mark else {}
        return {"id": int(held.ident) if held.ident.isdigit() else held.ident, **values, **safe}

    def _ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job when it has ended. Raises Unsure where that cannot be learnt."""
        for round_ in range(PATIENCE):
            if job.get("status") in ("completed", "failed", "killed"):
                return job
            self._client.pace.sleep(min(0.5 * 1.3**round_, 15.0))
            try:
                reply = self._client.ask("GET", f"/api/v2/job_statuses/{job['id']}")
            except Halted as error:
                raise Unsure(error.status) from error
            job = {"id": job["id"], **(dug(reply.body, "job_status") or {})}
        raise Unsure("job-not-ended")

    def _answers(self, job: dict[str, Any], records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:
        """A job that failed or was killed may have done some: what it does not report on has no answer."""
        names = {held[record.key].ident: record for record in records}
        answers = {}
        results = job.get("results")
        for place, one in enumerate(results if isinstance(results, list) else []):
            index = one.get("index", place)
            record = names.get(str(one.get("id")))
            if record is None and isinstance(index, int) and "id" not in one and index < len(records):
                record = records[index]
            if record is not None:
                answers[record.key] = _answer(record, one)
        return answers


def _answer(record: Record, one: dict[str, Any]) -> Answer:
    word = code_of(one.get("error")) or code_of(one.get("status")) or "error"
    if one.get("success") is True or (one.get("status") == "Updated" and not one.get("error")):
        return Answer("accepted", "Updated")
    if word in _AGAIN:
        return Answer("again", word)
    return Answer("refused", word, scrubbed(one.get("details"), record))

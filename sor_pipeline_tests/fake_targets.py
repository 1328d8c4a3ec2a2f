"""Fake tools on localhost that speak the documented answers of HubSpot, Salesforce, Zendesk, Stripe and a REST tool.

Each is a real HTTP server with a store, an account of everything that was applied, and faults to order:
`429`, `423`, `500` and `drop` (before anything is applied), `500-after`, `drop-after` and `hang-after` (applied, and
the answer never comes), `401`. A record whose wanted value is `INVALID` is refused; `LOCKED` once, then taken.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SECRET = "s3cret-pat-na1-0123456789"
Answer = tuple[int, Any, dict[str, str]]


class Fake:
    """`store`: own id -> property -> value. `applied`: how often each (id, property, value) was written."""

    limit = 1
    reads: tuple[str, ...] = ("GET",)

    def __init__(self) -> None:
        self.store: dict[str, dict[str, Any]] = {}
        self.applied: Counter[tuple[str, str, str]] = Counter()
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []
        self.fault: Callable[[bool], str] = lambda writes: ""
        self.kept_as: Callable[[Any], Any] = lambda value: value
        self.after_read: Callable[[], None] = lambda: None
        self.locked: set[str] = set()
        self.lock = threading.Lock()
        self.retry_after = "0"
        self.url = ""

    # what a tool is

    def writes(self, method: str, path: str) -> bool:
        return method not in self.reads

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any, headers: dict[str, str]) -> Answer:
        raise NotImplementedError

    # what all do

    def put(self, ident: str, values: dict[str, Any]) -> str:
        """Apply values to a record; returns the code of a refusal, or nothing."""
        for name, value in values.items():
            if value == "INVALID":
                return "INVALID"
            if value == "LOCKED" and (ident, name) not in self.locked:
                self.locked.add((ident, name))
                return "LOCKED"
        for name, value in values.items():
            self.applied[ident, name, str(value)] += 1
            self.store[ident][name] = self.kept_as(value)
        return ""

    def allowed(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {SECRET}"

    def respond(self, method: str, url: str, raw: bytes, headers: dict[str, str]) -> Answer | str:
        parts = urlsplit(url)
        kind = headers.get("content-type", "")
        body: Any = (
            json.loads(raw)
            if raw and "json" in kind
            else {k: v[0] for k, v in parse_qs(raw.decode(), keep_blank_values=True).items()}
        )
        writes = self.writes(method, parts.path)
        with self.lock:
            self.calls.append((method, url, body, headers))
            fault = self.fault(writes)
            if fault == "429":
                return (
                    429,
                    {"status": "error", "errorType": "RATE_LIMIT", "policyName": "SECONDLY"},
                    {"Retry-After": self.retry_after},
                )
            if fault == "limit":
                return 429, {"status": "error", "errorType": "RATE_LIMIT", "policyName": "DAILY"}, {}
            if fault in ("408", "423", "425", "500", "503"):
                return int(fault), {"message": "internal"}, {}
            if fault == "drop":
                return "drop"
            if fault == "302":
                return 302, None, {"Location": "http://elsewhere.example/"}
            if fault == "401" or not self.allowed(headers):
                return 401, {"message": f"bad token {headers.get('authorization')}"}, {}
            answer = self.answer(method, parts.path, parse_qs(parts.query), body, headers)
            if fault == "408-after":
                return 408, {"message": "too slow"}, {}
            if fault == "500-after":
                return 500, {"message": "internal"}, {}
            if fault in ("drop-after", "hang-after"):
                return fault
            if not writes:
                self.after_read()
            return answer


class HubSpot(Fake):
    """`by`: idProperty of the source; without it the own id."""

    limit = 100

    def writes(self, method: str, path: str) -> bool:
        return not path.endswith("/batch/read")

    def answer(self, method: str, path: str, query: Any, body: Any, headers: Any) -> Answer:
        assert method == "POST"
        assert path.startswith("/crm/v3/objects/contacts/batch/"), path
        assert len(body["inputs"]) <= 100
        verb = path.rsplit("/", 1)[1]
        results, errors = [], []
        for one in body["inputs"]:
            by = body.get("idProperty") if verb == "read" else one.get("idProperty")
            ident = self._ident(one["id"], by)
            if ident is None and verb == "upsert":
                ident = f"new-{one['id']}"
                self.store[ident] = {by: one["id"]}
            if ident is None:
                errors.append(
                    {
                        "status": "error",
                        "category": "OBJECT_NOT_FOUND",
                        "message": "Could not get some CONTACT objects",
                        "context": {"ids": [one["id"]]},
                    }
                )
                continue
            if verb == "read":
                results.append(
                    {
                        "id": ident,
                        "properties": {n: self.store[ident].get(n) for n in body["properties"]},
                        "updatedAt": "2026-01-01T00:00:00Z",
                    }
                )
                continue
            assert all(isinstance(value, str) for value in one["properties"].values())
            code = self.put(ident, one["properties"])
            if code:
                errors.append(
                    {
                        "status": "error",
                        "category": "VALIDATION_ERROR",
                        "message": f"Property values were not valid: [{json.dumps(one['properties'])}] for {self.store[ident].get('email')}",
                        "context": {"objectWriteTraceId": [one["objectWriteTraceId"]]},
                    }
                )
            else:
                results.append({"id": ident, "properties": {}, "objectWriteTraceId": one["objectWriteTraceId"]})
        return (
            (207 if errors else 200),
            {"status": "COMPLETE", "results": results, "errors": errors, "numErrors": len(errors)},
            {"X-HubSpot-RateLimit-Remaining": "50", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"},
        )

    def _ident(self, key: str, by: str | None) -> str | None:
        if by is None:
            return key if key in self.store else None
        return next((ident for ident, values in self.store.items() if str(values.get(by)).lower() == key.lower()), None)


class Salesforce(Fake):
    limit = 200

    def writes(self, method: str, path: str) -> bool:
        return method == "PATCH"

    def answer(self, method: str, path: str, query: Any, body: Any, headers: Any) -> Answer:
        assert path.startswith("/services/data/v61.0/composite/"), path
        info = {"Sforce-Limit-Info": "api-usage=18/5000"}
        rest = path.removeprefix("/services/data/v61.0/composite/").split("/")
        if rest == ["batch"]:
            assert len(body["batchRequests"]) <= 25
            return 200, {"hasErrors": False, "results": [self._one(one["url"]) for one in body["batchRequests"]]}, info
        if method == "POST":
            return (
                200,
                [self._row(ident, body["fields"]) if ident in self.store else None for ident in body["ids"]],
                info,
            )
        assert body["allOrNone"] is False
        assert len(body["records"]) <= 200
        return 200, [self._patched(one, rest[2] if len(rest) == 3 else None) for one in body["records"]], info

    def _one(self, url: str) -> dict[str, Any]:
        path, _, fields = url.partition("?fields=")
        _, _, _, by, key = path.split("/")
        ident = next((i for i, values in self.store.items() if str(values.get(by)) == unquote(key)), None)
        if ident is None:
            return {"statusCode": 404, "result": [{"errorCode": "NOT_FOUND"}]}
        return {"statusCode": 200, "result": self._row(ident, fields.split(","))}

    def _row(self, ident: str, fields: list[str]) -> dict[str, Any]:
        return {
            "attributes": {"type": "Contact"},
            **{n: ident if n == "Id" else self.store[ident].get(n) for n in fields},
        }

    def _patched(self, one: dict[str, Any], by: str | None) -> dict[str, Any]:
        assert one["attributes"] == {"type": "Contact"}
        values = {n: v for n, v in one.items() if n not in ("attributes", "id", by)}
        ident = one.get("id") or next(
            (i for i, held in self.store.items() if held.get(str(by)) == one.get(str(by))), None
        )
        if ident not in self.store:
            return {
                "success": False,
                "errors": [{"statusCode": "ENTITY_IS_DELETED", "message": "entity is deleted", "fields": []}],
            }
        code = self.put(ident, values)
        if code:
            status = "UNABLE_TO_LOCK_ROW" if code == "LOCKED" else "INVALID_EMAIL_ADDRESS"
            return {
                "success": False,
                "errors": [{"statusCode": status, "message": f"Email: invalid email address: {values}", "fields": []}],
            }
        return {"id": ident, "success": True, "errors": []}


class Zendesk(Fake):
    limit = 100

    def __init__(self, noun: str = "users") -> None:
        super().__init__()
        self.noun = noun
        self.jobs: dict[str, dict[str, Any]] = {}
        self.kill = False

    def answer(self, method: str, path: str, query: Any, body: Any, headers: Any) -> Answer:
        if path.startswith("/api/v2/job_statuses/"):
            job = self.jobs[path.rsplit("/", 1)[1]]
            job["polls"] += 1
            status = "working" if job["polls"] < 2 else "killed" if self.kill else "completed"
            results = job["results"] if status == "completed" else None
            return (
                200,
                {
                    "job_status": {
                        "id": job["id"],
                        "status": status,
                        "total": len(job["results"]),
                        "progress": 0,
                        "results": results,
                    }
                },
                {},
            )
        if method == "GET":
            assert path == f"/api/v2/{self.noun}/show_many"
            by = "external_id" if "external_ids" in query else "id"
            keys = query.get("external_ids", query.get("ids"))[0].split(",")
            rows = [
                {"id": int(i), "updated_at": "2026-01-01T00:00:00Z", **values}
                for i, values in self.store.items()
                if str({"id": i, **values}[by]) in keys
            ]
            return (
                200,
                {self.noun: rows},
                {"ratelimit-remaining": "690", "ratelimit-limit": "700", "ratelimit-reset": "41"},
            )
        assert path == f"/api/v2/{self.noun}/update_many"
        assert method == "PUT"
        assert len(body[self.noun]) <= 100
        job = {"id": f"j{len(self.jobs)}", "polls": 0, "results": [self._done(one) for one in body[self.noun]]}
        self.jobs[job["id"]] = job
        return (
            200,
            {"job_status": {"id": job["id"], "status": "queued", "url": f"http://elsewhere.example/{job['id']}"}},
            {},
        )

    def _done(self, one: dict[str, Any]) -> dict[str, Any]:
        ident = str(one["id"])
        values = {n: v for n, v in one.items() if n not in ("id", "safe_update", "updated_stamp")}
        if ident not in self.store:
            return {"id": one["id"], "error": "NotFound", "success": False}
        if self.noun == "tickets":
            assert one["safe_update"] is True
            if self.store[ident].pop("__edited", None):
                return {"id": one["id"], "error": "UpdateConflict", "details": "Safe Update prevented the update"}
        code = self.put(ident, values)
        if code:
            return {
                "id": one["id"],
                "success": False,
                "error": "DatabaseConflict" if code == "LOCKED" else "UserUpdateError",
                "details": f"Email: {values} is not properly formatted",
            }
        return {"id": one["id"], "action": "update", "status": "Updated", "success": True}


class Stripe(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, tuple[Any, Answer]] = {}

    def answer(self, method: str, path: str, query: Any, body: Any, headers: Any) -> Answer:
        ident = unquote(path.removeprefix("/v1/customers/"))
        if ident not in self.store:
            return (
                404,
                {
                    "error": {
                        "type": "invalid_request_error",
                        "code": "resource_missing",
                        "message": f"No such customer: '{ident}'",
                    }
                },
                {},
            )
        if method == "GET":
            return 200, {"id": ident, "object": "customer", **self._nested(ident)}, {}
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        key = headers["idempotency-key"]
        if key in self.keys:
            assert self.keys[key][0] == body, "the same key with other parameters"
            return self.keys[key][1]
        code = self.put(ident, {n.replace("[", ".").replace("]", ""): v for n, v in body.items()})
        if code == "LOCKED":
            return (
                409,
                {
                    "error": {
                        "type": "invalid_request_error",
                        "code": "lock_timeout",
                        "message": "cannot be accessed right now",
                    }
                },
                {},
            )
        answer: Answer = (200, {"id": ident, "object": "customer"}, {})
        if code:
            answer = (
                400,
                {
                    "error": {
                        "type": "invalid_request_error",
                        "code": "email_invalid",
                        "message": f"Invalid email address: {body}",
                    }
                },
                {},
            )
        self.keys[key] = (body, answer)
        return answer

    def _nested(self, ident: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in self.store[ident].items():
            first, _, last = name.partition(".")
            if last:
                values.setdefault(first, {})[last] = value
            else:
                values[name] = value
        return values


class Rest(Fake):
    """PATCH /people/{id} with {"data": {...}}; GET gives {"data": {...}} and an ETag, which If-Match must meet."""

    def __init__(self, etag: bool = True) -> None:
        super().__init__()
        self.etag = etag

    def answer(self, method: str, path: str, query: Any, body: Any, headers: Any) -> Answer:
        ident = unquote(path.removeprefix("/people/"))
        if ident not in self.store:
            return 404, {"error": {"code": "not_found"}}, {}
        tag = f'"{hash(json.dumps(self.store[ident], sort_keys=True))}"'
        if method == "GET":
            return 200, {"data": self.store[ident]}, {"ETag": tag} if self.etag else {}
        if "if-match" in headers and headers["if-match"] != tag:
            return 412, {"error": {"code": "stale"}}, {}
        code = self.put(ident, body["data"])
        if code == "LOCKED":
            return 409, {"error": {"code": "locked"}}, {}
        if code:
            return 422, {"error": {"code": "invalid", "message": f"{body} is not valid"}}, {}
        return 200, {"ok": True}, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def _do(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.fake.respond(self.command, self.path, raw, {k.lower(): v for k, v in self.headers.items()})
        if isinstance(said, str):
            if said == "hang-after":
                time.sleep(1.0)
            self.close_connection = True
            self.connection.close()
            return
        status, body, headers = said
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = _do

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """The fake at `fake.url` for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()

"""Requests to one system's tool: where to, how often, how fast, and what an answer means.

Belongs here: the client that all HTTP connectors share; allow-list, retries, rate limits, the secret's header.
Does not: any tool's bodies. Imported only where a live target sends.

A request that writes is repeated only where it is certain that it was not applied (429, 423, no connection).
Everything else that went wrong is `Unsure`: the delivery reads before it writes again.
"""

from __future__ import annotations

import base64
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from sor_pipeline.deliver.connector import Denied, Halted, Limited, Misdirected, Unsure
from sor_pipeline.deliver.limits import Window, nearly_used_up, used_up, wait_asked
from sor_pipeline.deliver.secrets import Secret, code_of
from sor_pipeline.ownership.target import Kind, Target
from sor_pipeline.settings import expanded

TRIES = 6
LONGEST_WAIT = 90.0
"""Seconds that one answer may ask to wait; for longer ones the next run is early enough."""
_PER_SECOND = {Kind.hubspot: 10.0, Kind.salesforce: 10.0, Kind.zendesk: 5.0, Kind.stripe: 20.0, Kind.rest: 5.0}
_LOUD = ("httpx", "httpcore")
_BUSY = (423, 425, 429)
_TIMED_OUT = 408
_NOT_OF_A_RECORD = (405, 406, 407, 415, 426)
"""Codes that say that no request of this kind is ever taken, whatever it is about."""


@dataclass(frozen=True)
class Pace:
    """Time as the client sees it; tests put in a clock of their own."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True)
class Reply:
    """An answer below 500 that is neither a redirection, a denial nor a limit."""

    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def fine(self) -> bool:
        return self.status < 400


class _Again(Exception):
    """Certainly not applied, and worth another try after `seconds` (0: as the back-off says)."""

    def __init__(self, reason: Halted, seconds: float = 0) -> None:
        super().__init__(reason.status)
        self.reason = reason
        self.seconds = seconds


class Client:
    """A conversation with one system's tool. Raises Misdirected for a place that may not be asked."""

    def __init__(self, target: Target, secret: Secret | None, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._target = target
        self._base = _allowed(target)
        self._window = Window(target.per_second or _PER_SECOND.get(target.kind, 5.0))
        self._spent = False
        for name in _LOUD:  # at INFO they write addresses of records, at DEBUG the secret's header
            logging.getLogger(name).setLevel(logging.WARNING)
        self._http = httpx.Client(
            base_url=self._base,
            headers={"Accept": "application/json", **_shown(target, secret)},
            timeout=httpx.Timeout(target.timeout, connect=min(target.timeout, 10.0)),
            follow_redirects=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **how: Any) -> Reply:
        """A request that changes nothing; repeated whatever went wrong. `how`: json, params. Raises Halted."""
        return self._tried(method, path, False, how)

    def tell(self, method: str, path: str, **how: Any) -> Reply:
        """A request that writes. `how`: json, data (a form), params, headers. Raises Halted, Unsure."""
        return self._tried(method, path, True, how)

    def _tried(self, method: str, path: str, writes: bool, how: dict[str, Any]) -> Reply:
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Again),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=self._wait,
            sleep=self.pace.sleep,
            reraise=True,
        )
        try:
            return tries(self._once, method, path, writes, how)
        except _Again as last:
            raise last.reason from None

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.seconds if isinstance(error, _Again) else 0.0
        backoff = min(0.5 * 2.0 ** (state.attempt_number - 1), 30.0)
        return max(asked, backoff) + float(self.pace.jitter()) * backoff / 2

    def _once(self, method: str, path: str, writes: bool, how: dict[str, Any]) -> Reply:
        if self._spent:
            raise Limited("api-usage")
        pause = self._window.pause(self.pace.clock())
        if pause > 0:
            self.pace.sleep(pause)
        try:
            answer = self._http.request(method, path, **how)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _Again(Halted(type(error).__name__)) from None
        except httpx.HTTPError as error:
            if writes:
                raise Unsure(type(error).__name__) from None
            raise _Again(Halted(type(error).__name__)) from None
        return self._judged(answer, writes)

    def _judged(self, answer: httpx.Response, writes: bool) -> Reply:
        self._window.heed(answer.headers, self.pace.clock())
        self._spent = self._spent or nearly_used_up(answer.headers)
        status, body = answer.status_code, _json(answer)
        if status == 429 or used_up(status, body):
            self._limited(answer.headers, body, status)
        if status in _BUSY:
            raise _Again(Halted(str(status)), wait_asked(answer.headers))
        if status in (401, 403):
            raise Denied(str(status))
        if 300 <= status < 400:
            raise Misdirected(str(status))
        if status in _NOT_OF_A_RECORD:
            raise Halted(str(status))
        if status >= 500 or status == _TIMED_OUT:
            if writes:
                raise Unsure(str(status))
            raise _Again(Halted(str(status)), min(wait_asked(answer.headers), LONGEST_WAIT))
        return Reply(status, body, answer.headers)

    def _limited(self, headers: Mapping[str, str], body: Any, status: int) -> None:
        seconds = wait_asked(headers)
        if used_up(status, body) or seconds > LONGEST_WAIT:
            raise Limited(str(status))
        raise _Again(Limited(str(status)), seconds)


def refusal(reply: Reply, *paths: str) -> str:
    """The tool's code of a refusal, from the first of the dotted `paths` that holds one; else the HTTP code."""
    for path in paths:
        word = code_of(dug(reply.body, path))
        if word:
            return word
    return str(reply.status)


def dug(value: Any, path: str) -> Any:
    """What lies at a dotted path of mappings and lists (`errors.0.code`); None where there is nothing."""
    for part in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _allowed(target: Target) -> str:
    """The address that is asked. Raises Misdirected where its scheme or host is not allowed."""
    base = expanded(target.base or "").rstrip("/")
    where = urlsplit(base)
    hosts = target.hosts or ((urlsplit(target.base or "").hostname or where.hostname or ""),)
    if "${" in (target.base or "") and not target.hosts:
        hosts = (where.hostname or "",)
    if where.username or where.password or where.hostname not in hosts:
        raise Misdirected("host-not-allowed")
    if where.scheme != "https" and not (where.scheme == "http" and target.insecure):
        raise Misdirected("not-https")
    return base


def _shown(target: Target, secret: Secret | None) -> dict[str, str]:
    if secret is None:
        return {}
    value = secret.reveal()
    if target.auth != "basic" and not (value.isascii() and value.isprintable()):
        raise Denied("unusable")
    match target.auth:
        case "basic":
            return {"Authorization": f"Basic {base64.b64encode(value.encode()).decode()}"}
        case "header":
            return {str(target.header): value}
        case _:
            return {"Authorization": f"Bearer {value}"}


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None

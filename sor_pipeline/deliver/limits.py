"""How fast a tool may be asked: what its headers say, and how long it wants to be left alone.

Belongs here: reading limits (Retry-After, HubSpot, Zendesk, Salesforce) and spacing requests.
Does not: sending or sleeping.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_NEARLY = 0.98
"""Share of Salesforce's daily requests after which we leave the rest to others."""
_LAST_CALLS = ("REQUEST_LIMIT_EXCEEDED", "DAILY")
_LONG = 3600.0


class Window:
    """Keeps requests apart: so many per second, and none while the tool says that its window is used up."""

    def __init__(self, per_second: float) -> None:
        self._apart = 1.0 / per_second
        self._next = 0.0

    def pause(self, now: float) -> float:
        """Seconds to wait before a request at `now`; the request after it is spaced from there."""
        start = max(self._next, now)
        self._next = start + self._apart
        return start - now

    def heed(self, headers: Mapping[str, str], now: float) -> None:
        """What an answer's headers say about the window."""
        for left, seconds in (
            ("x-hubspot-ratelimit-remaining", _number(headers.get("x-hubspot-ratelimit-interval-milliseconds")) / 1000),
            ("ratelimit-remaining", _number(headers.get("ratelimit-reset"))),
            ("x-rate-limit-remaining", _number(headers.get("ratelimit-reset")) or 60.0),
        ):
            if left in headers and _number(headers.get(left)) <= 0:
                self._next = max(self._next, now + min(seconds, 60.0))


def wait_asked(headers: Mapping[str, str]) -> float:
    """Seconds of Retry-After, a number or a date; 0 without one."""
    text = headers.get("retry-after", "")
    if not text or text.strip().replace(".", "", 1).isdigit():
        return _number(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def used_up(status: int, body: Any) -> bool:
    """Whether an answer says that a limit of the day is used up: Salesforce's 403, HubSpot's 429 of policy DAILY."""
    if status not in (403, 429):
        return False
    said = body[0] if isinstance(body, list) and body else body
    if not isinstance(said, dict):
        return False
    return said.get("errorCode") in _LAST_CALLS or said.get("policyName") in _LAST_CALLS


def nearly_used_up(headers: Mapping[str, str]) -> bool:
    """Whether Salesforce says (`Sforce-Limit-Info: api-usage=98/100`) that the day's requests are nearly spent."""
    usage = headers.get("sforce-limit-info", "").partition("api-usage=")[2].split(";")[0].split(" ")[0]
    spent, _, allowed = usage.partition("/")
    return bool(_number(allowed)) and _number(spent) >= _NEARLY * _number(allowed)


def _number(text: str | None) -> float:
    try:
        return max(float(text or 0), 0.0)
    except ValueError:
        return 0.0

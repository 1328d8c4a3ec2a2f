"""URLs and domains: scheme and host lower case, host in its ASCII form (IDNA, UTS 46).

Belongs here: shape only; a text without scheme that begins like a host is read as https.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

import idna
import polars as pl

from sor_pipeline.stage.blanks import BLANKS
from sor_pipeline.stage.standard.result import Standard, UnreadableError, over_distinct

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"^{_LABEL}(?:\.{_LABEL})*$")
_TOP = re.compile(r"\.[0-9]+$")
_FORBIDDEN = re.compile(rf'[{BLANKS}<>"\\^`{{|}}]')
_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21}
_LONGEST_HOST = 253


def urls(raw: pl.Series) -> Standard:
    return over_distinct(raw, _url, pl.String)


def domains(raw: pl.Series) -> Standard:
    return over_distinct(raw, _domain, pl.String)


def _url(text: str) -> str:
    if not _SCHEME.match(text):
        if "." not in text.split("/", 1)[0] or "@" in text or ":" in text.split("/", 1)[0]:
            raise UnreadableError("not-a-url")
        text = f"https://{text}"
    parts = _split(text, "not-a-url")
    scheme = parts.scheme.lower()
    host = _host(parts.hostname or "", "not-a-url")
    port = _port(parts)
    place = f"{host}:{port}" if port is not None and port != _DEFAULT_PORTS.get(scheme) else host
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(
        (
            scheme,
            f"{user}@{place}" if user else place,
            "" if parts.path == "/" else parts.path,
            parts.query,
            parts.fragment,
        )
    )


def _domain(text: str) -> str:
    if not _SCHEME.match(text):
        text = f"https://{text.rpartition('@')[2]}"
    host = _host(_split(text, "not-a-domain").hostname or "", "not-a-domain").rstrip(".")
    host = host.removeprefix("www.") if host.count(".") > 1 else host
    if "." not in host or _TOP.search(host) or ":" in host:
        raise UnreadableError("not-a-domain")
    return host


def _split(text: str, reason: str) -> SplitResult:
    if _FORBIDDEN.search(text):
        raise UnreadableError(reason)
    try:
        return urlsplit(text)
    except ValueError:
        raise UnreadableError(reason) from None


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise UnreadableError("not-a-url") from None


def _host(host: str, reason: str) -> str:
    lower = host.lower().rstrip(".")
    if ":" in lower:
        return _address(lower, reason)
    if not lower.isascii():
        try:
            lower = idna.encode(lower, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise UnreadableError(reason) from None
    if not _HOST.match(lower) or len(lower) > _LONGEST_HOST:
        raise UnreadableError(reason)
    return lower


def _address(text: str, reason: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(text)}]"
    except ValueError:
        raise UnreadableError(reason) from None

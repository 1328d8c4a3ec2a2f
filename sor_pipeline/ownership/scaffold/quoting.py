"""Texts as YAML reads them back: plain where that is safe beyond doubt, else in double quotes.

Belongs here: scalars, flow lists and mappings, comments. Does not: what is written (`writing`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./%-]*(?: [A-Za-z0-9_./-]+)*")
_RESERVED = frozenset(["y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf", "none"])
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f\xad\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff\ud800-\udfff\ufffe\uffff]")
_LONGEST_REMARK = 150


def scalar(text: str) -> str:
    """The text as a scalar that is safe as key, in a block and in a flow."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED and len(text) <= 120:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)


def flow(value: object) -> str:
    """A list, mapping, number, boolean or text on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(name))}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else scalar(str(value))


def remark(text: str) -> str:
    """The text as it may stand behind `# `: one line, printable, not too long."""
    line = " ".join(_ESCAPED.sub(" ", text).split())
    return line if len(line) <= _LONGEST_REMARK else f"{line[: _LONGEST_REMARK - 1]}…"

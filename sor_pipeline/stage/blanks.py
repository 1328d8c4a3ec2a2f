"""What counts as blank space, in SQL and in columns alike.

Belongs here: the characters. Does not: what a blank means (`fold`).
"""

from __future__ import annotations

SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
INVISIBLE = "\u200b\u2060\ufeff"
BLANKS = SPACE + INVISIBLE
"""Taken off both ends of every text; engines disagree about what `trim` takes off by itself."""

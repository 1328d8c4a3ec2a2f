"""From raw text to the standard value of a field type, or to the reason why it cannot be read.

Belongs here: one file per family of types. Every reader takes texts that are trimmed, not blank and
free of control characters (null where there is nothing to read) and returns a `Standard`.
Does not: blanks, placeholders, code lists (`observations`), tables.
"""

from sor_pipeline.stage.standard.dispatch import standardise
from sor_pipeline.stage.standard.result import Standard

__all__ = ["Standard", "standardise"]

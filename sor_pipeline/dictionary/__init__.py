"""The data dictionary: the ownership document as a site that opens from disk.

Belongs here: pages (`overview`, `entities`, `systems`), the words in which they tell a rule (`wording`),
the picture of the flow (`picture`), safe HTML (`html`), and the site around them (`site`). It reads the
document and nothing else: no warehouse, no values.
Does not: the command (`cli`); what the data look like today, which is the report's business.
"""

from __future__ import annotations

from sor_pipeline.dictionary.pages import pages, write

__all__ = ["pages", "write"]

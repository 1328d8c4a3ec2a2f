"""The demo company: nine tools that disagree, generated from a seed, with known truth.

Belongs here: the company (`company`), what its tools believe and export (`tools`), what changes
from day to day (`days`), the files (`write`), what a right answer is (`truth`), and the ownership
document that settles it all (`ownership.yaml`). Everything is synthetic: `.example` domains,
`555` telephone numbers.
Does not: any step of the pipeline; nothing here imports one.
"""

"""Who should own a field: what the systems' claims themselves say about it.

Belongs here: the questions (`asked`) and what follows from the answers (`proposal`). Does not: writing
anything down; the document is the company's to edit.
"""

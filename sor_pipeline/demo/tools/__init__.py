"""The nine tools of the demo company: what each believes, and the shape in which it exports it.

Belongs here: one file per tool, and what they share (`stream`, `spell`).
Does not: the truth (`company`), the days (`days`), bytes (`write`).
"""

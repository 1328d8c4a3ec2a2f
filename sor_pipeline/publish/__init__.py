"""Publish: all conformed tables change in one atomic step, or none does.

Belongs here: candidates with holds applied, their difference from what is published, and the
writing of it. Does not: resolving values (`resolve`), judging them (`check`).
"""

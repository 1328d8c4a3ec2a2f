"""Simulate: corrections played forward, on a copy, against models of the systems that take them.

Belongs here: the copy of the state, the models, the rounds and what did not come to rest. Does not: any rule of the
flow, which is played as it is; printing.

Reads: all tables of a state. Writes: nothing there; the copy is gone afterwards.
Raises: SettingsError for a model or a system that there is not.
"""

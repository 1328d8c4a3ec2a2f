"""What people decide: acceptances, and links and unlinks of records.

Belongs here: writing a person's word down (`steward.*`), after looking whether it can be meant.
Does not: acting on it (the steps do), showing it (`observe`).
"""

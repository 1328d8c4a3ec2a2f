"""What people decide: acceptances now; overrides, links and cases as the ledger grows.

Belongs here: writing a person's word down (`steward.*`). Does not: acting on it (the steps do).
"""

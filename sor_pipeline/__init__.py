"""System-of-record pipeline: one ownership document, one conformed truth.

`flow` shows the pipeline on one page; `tables` shows every table it fills.
"""

__version__ = "0.1.0"

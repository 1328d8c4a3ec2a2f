"""Connected components, in process, over columns of numbers, on every engine alike.

Belongs here: the algorithm: hooking every root to its smallest neighbour, then pointer jumping, all in arrays.
Does not: what the numbers stand for (`clusters`, `reach`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def components(count: int, left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Numbers:
    """The least node of every node's component; nodes are 0 to count - 1, edges join left[i] and right[i]."""
    label = np.arange(count, dtype=np.int64)
    while True:
        one, other = label[left], label[right]
        apart = one != other
        if not apart.any():
            return label
        left, right, one, other = left[apart], right[apart], one[apart], other[apart]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        label = _flattened(label)


def _flattened(label: Numbers) -> Numbers:
    """Every node points at its root."""
    while True:
        further = label[label]
        if np.array_equal(further, label):
            return label
        label = further

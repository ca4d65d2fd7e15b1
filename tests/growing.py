"""What a function costs, on any machine the same: to be compared for some input and for twice as much."""

import sys
import tracemalloc
from collections.abc import Callable


def calls(function: Callable[[], object]) -> int:
    """Return how many functions are called, of Python and of C."""
    count = 0

    def told(frame, event, argument) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(told)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def memory(function: Callable[[], object]) -> int:
    """Return the peak of memory in bytes, arrays of NumPy among it."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

"""What hangs together over any number of steps: groups that share a file, files that share a person."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def leaders(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """Return the smallest member of each node's connected component, in time and memory linear in nodes and edges.

    Args:
        one: a node of each edge, int [edges].
        other: the other one.
        count: nodes, numbered from 0.

    Returns:
        int [count].
    """
    edges = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(count, count))
    _, component = connected_components(edges, directed=False)
    # the first time that a component appears is at its smallest member
    _, first = np.unique(component, return_index=True)
    return first[component]

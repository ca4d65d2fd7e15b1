"""The runs whose models are set side by side: those of phases 1, 3 and 4, beside the ones that are explained."""

from collections.abc import Sequence

import pandas as pd

from deepfake.config import config_of, read_final
from deepfake.project import paths
from deepfake.tables import results as result_tables

_PHASES = ("phase1", "phase3", "phase4a")
"""The comparisons of models; phase 2 varies what a model is shown."""


def names(experiments: Sequence[str]) -> list[str]:
    """Return the runs of the phases that compare models, then those explained that are none of them.

    Runs of another data set, or that are not there, are left out; so are tables that have not been written.
    """
    known = [name for phase in _PHASES if (rows := _rows(phase)) is not None for name in rows["experiment"]]
    dataset = config_of(experiments[0]).dataset
    there = [name for name in known if paths().predictions(name).exists() and config_of(name).dataset == dataset]
    return list(dict.fromkeys([*there, *experiments]))


def pair(experiments: Sequence[str]) -> list[str]:
    """Return the two runs whose features are looked at: the final model, and the baseline of phase 1.

    Where the final model is not among those explained, the first of these stands for it.
    """
    final = paths().final.exists() and read_final()
    first = str(final) if final in experiments else experiments[0]
    tests = result_tables.read("phase1_tests") if paths().table("phase1_tests").exists() else None
    known = [] if tests is None else [name for name in tests["baseline"] if name in names(experiments)]
    return list(dict.fromkeys([first, *known[:1]]))


def _rows(phase: str) -> pd.DataFrame | None:
    table = f"{phase}_experiments"
    return result_tables.read(table) if paths().table(table).exists() else None

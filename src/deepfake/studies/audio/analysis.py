"""The study of speech: error rates, unknown vocoders, another data set, and what the files alone give away."""

import pandas as pd

from deepfake.config import facts_of, table
from deepfake.config.params import Params
from deepfake.progress import Progress
from deepfake.runs import completion
from deepfake.studies import comparison, holdout, own_data
from deepfake.studies.cross_domain import collect, gaps
from deepfake.studies.cross_domain.cells import Cell
from deepfake.tables import results as result_tables

NAME = "audio"
HOLDOUT = "audio_holdout"
"""The contrasts of the runs that do without a vocoder."""


def write(joined: dict[str, pd.DataFrame], settings: Params, progress: Progress) -> None:
    """Write error rates, vocoders and what detectors are worth on the other data sets (`own_data.run`)."""
    own = own_data.section(NAME, settings)
    whole = {name: one for name, one in joined.items() if not facts_of(name)["holdout"]}
    result_tables.write(own_data.error_rates(joined, settings.evaluation), "audio_eer")
    result_tables.write(own_data.by_source(joined, settings.evaluation), "audio_vocoders")
    if HOLDOUT in own.contrasts:
        each, mean = holdout.compare(HOLDOUT, table(settings, HOLDOUT), joined, settings.evaluation)
        result_tables.write(each, "audio_holdout")
        result_tables.write(mean, "audio_holdout_mean")
    comparison.write_curves(NAME, completion.names(settings, NAME), ("history", "roc"))
    cells = collect.run(list(whole), own.datasets, settings, progress)
    result_tables.write(across(cells, settings), "audio_cells")
    placed = {(cell.experiment, cell.dataset): cell for cell in cells}
    result_tables.write(gaps.of_datasets(placed, cells[0].experiment, settings.evaluation), "audio_gaps")


def across(cells: list[Cell], settings: Params) -> pd.DataFrame:
    """Return what each detector is worth on each data set, a row each: `experiment, dataset`, and `Cell.worth`."""
    return pd.DataFrame(
        [{"experiment": cell.experiment, "dataset": cell.dataset} | cell.worth(settings.evaluation) for cell in cells]
    )

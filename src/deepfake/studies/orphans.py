"""Results that no experiment of params.yaml owns: DVC leaves them behind when an experiment is taken away."""

from deepfake import layout
from deepfake.config import candidate_experiments, fixed_experiments
from deepfake.errors import InputError
from deepfake.params import Params


def check(settings: Params) -> None:
    """Check that every metrics file belongs to an experiment.

    Raises:
        InputError: naming the first one that does not, since `dvc metrics` would go on showing it.
    """
    known = {*fixed_experiments(settings), *candidate_experiments(settings)}
    known |= {*settings.reevaluations, *settings.ensembles}
    for path in sorted(layout.TRAIN_METRICS.glob("*.json")):
        if path.stem not in known:
            raise InputError(f"{path}: params.yaml has no experiment of this name; remove the file, or add it there")

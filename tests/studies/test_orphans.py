import pytest

from deepfake import layout
from deepfake.config import candidate_experiments
from deepfake.errors import InputError
from deepfake.studies import orphans


def test_what_the_study_knows_is_no_orphan_and_all_else_is(study):
    settings = study({})
    layout.TRAIN_METRICS.mkdir(parents=True, exist_ok=True)
    owners = [*settings.experiments, *settings.reevaluations, *candidate_experiments(settings), "custom"]
    for name in owners:
        layout.train_metrics(name).write_text("{}")
    orphans.check(settings)
    layout.train_metrics("gone").write_text("{}")
    with pytest.raises(InputError, match=r"metrics/train/gone\.json: params\.yaml has no experiment of this name"):
        orphans.check(settings)

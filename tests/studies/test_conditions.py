import numpy as np
import pytest
from PIL import Image

from deepfake import cli, config, layout
from deepfake.loading.augmentation import possible
from deepfake.params import Augmentation
from deepfake.studies import conditions


def test_both_figures_are_drawn(project, runner):
    for command in (["ingest", "sample"], ["faces", "sample"], ["conditions"]):
        result = runner.invoke(cli.main, command)
        assert result.exit_code == 0, result.output
    for name in ("views", "augmentation"):
        with Image.open(layout.photograph(name)) as picture:
            assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.parametrize("name", ["flip", "scale", "rotation", "blur", "noise", "colour", "JPEG"])
def test_a_single_step_does_one_thing_to_every_image(project, name):
    policy = conditions._single_steps(config.load().augmentations["full"])[name]
    step = {"flip": "geometry", "scale": "geometry", "rotation": "geometry", "JPEG": "jpeg"}.get(name, name)
    assert possible(policy, source=32, size=32) == {step}
    assert Augmentation.model_validate(policy.model_dump()) == policy

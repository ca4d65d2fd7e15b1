import numpy as np
import pytest
from PIL import Image

from deepfake import cli, config
from deepfake.config.params import Augmentation
from deepfake.modalities.image.augmentation import possible
from deepfake.project import paths
from deepfake.studies import previews


def test_both_figures_are_drawn(project, runner):
    for command in (["ingest", "sample"], ["faces", "sample"], ["conditions"]):
        result = runner.invoke(cli.main, command)
        assert result.exit_code == 0, result.output
    for name in ("views", "augmentation"):
        with Image.open(paths().photograph(name)) as picture:
            assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.parametrize("name", ["flip", "scale", "rotation", "blur", "noise", "colour", "JPEG"])
def test_a_single_step_does_one_thing_to_every_image(project, name):
    policy = previews._single_steps(config.load().augmentations["full"])[name]
    step = {"flip": "geometry", "scale": "geometry", "rotation": "geometry", "JPEG": "jpeg"}.get(name, name)
    assert possible(policy, source=32, size=32) == {step}
    assert Augmentation.model_validate(policy.model_dump()) == policy

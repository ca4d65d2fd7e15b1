import pytest

from conftest import write_noise
from deepfake import cli, config
from deepfake.bench import resampling
from deepfake.project import paths


@pytest.fixture
def settings(project, runner):
    """The tiny project with images several times as large as the model's input, and as sharp as can be."""
    write_noise(paths().raw("sample"), "PNG", 144, 128)
    assert runner.invoke(cli.main, ["ingest", "sample"]).exit_code == 0
    return config.load()


def test_without_a_crop_nothing_is_lost(settings):
    # the policy leaves images as they are, so that all ways give those of the evaluation
    idle = settings.augmentations["none"]
    same = settings.model_copy(update={"augmentations": {"light": idle}})
    row = resampling.run(same, count=20).iloc[0]
    assert row["from the file"] == pytest.approx(1)
    assert row["cache ×1"] == pytest.approx(1)


def test_an_enlarged_crop_is_less_sharp_than_one_from_the_file(settings):
    row = resampling.run(settings, count=40).iloc[0]
    assert row["cache ×1"] < row["cache ×1.25"] < row["cache ×1.5"]
    assert row["cache ×1"] < row["from the file"]

"""Deletion curves of models whose logits are known, against sums by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from deepfake.config.params import Evaluation, Normalization
from deepfake.project import paths
from deepfake.studies.explain import deletion
from shown import pixel_view

SIDE, CELLS, COUNT = 24, 4, 30
EVALUATION = Evaluation(confidence=0.95, rope=0.02)


def test_cells_are_painted_over_in_their_turn_with_the_mean_colour():
    image = torch.randn(3, 10, 12, generator=torch.Generator().manual_seed(0))
    rank = np.array([3, 0, 5, 1, 4, 2])  # of two rows and three columns
    found = deletion.painted(image, rank, (2, 3))
    assert found.shape == (deletion.STEPS + 1, 3, 10, 12)
    mean = image.numpy().mean(axis=(1, 2))
    for step in range(deletion.STEPS + 1):
        expected = image.numpy().copy()
        for cell, turn in enumerate(rank):
            if turn < round(6 * step / deletion.STEPS):
                row, column = divmod(cell, 3)
                expected[:, 5 * row : 5 * row + 5, 4 * column : 4 * column + 4] = mean[:, None, None]
        np.testing.assert_allclose(found[step].numpy(), expected, rtol=1e-6)
    assert torch.equal(found[0], image)


@pytest.mark.parametrize("size", [(97, 6), (96, 7), (5, 5)])
def test_every_pixel_belongs_to_a_cell_and_the_last_step_leaves_none(size):
    side, cells = size
    image = torch.randn(3, side, side)
    last = deletion.painted(image, np.arange(cells**2), (cells, cells))[-1]
    assert (last == last[:, :1, :1]).all()


def test_the_hottest_go_first_or_last_and_chance_decides_among_equals():
    cells = np.array([[0.0, 0.9], [0.0, 0.4]])
    firsts = set()
    for seed in range(20):
        hottest, coldest, *random = deletion.ranks(cells, seed)
        assert (hottest[1], hottest[3]) == (0, 1) and (coldest[1], coldest[3]) == (3, 2)
        assert len(random) == deletion.RANDOM
        assert all(sorted(rank) == [0, 1, 2, 3] for rank in (hottest, coldest, *random))
        firsts.add(int(hottest[0]))
    assert firsts == {2, 3}
    assert np.array_equal(deletion.ranks(cells, 3), deletion.ranks(cells, 3))


class Bright(torch.nn.Module):
    """Calls fake what is bright in its first cell."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = SIDE // CELLS
        return 3 * images[:, 0, :side, :side].mean(dim=(1, 2))[:, None]


@pytest.fixture
def bright(tmp_path, monkeypatch) -> Any:
    """A run that is explained, of images that are bright in the first cell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    images = np.random.default_rng(0).integers(0, 100, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    images[:, : SIDE // CELLS, : SIDE // CELLS] = 250
    np.save("images.npy", images)
    monkeypatch.setattr("deepfake.runs.trained.model_of", lambda run, fold, device: Bright())
    scale = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    run = SimpleNamespace(
        config=SimpleNamespace(
            experiment="bright", model="simple_cnn", view=pixel_view(SIDE), resolution=SIDE, probe=None
        ),
        scales=[scale, scale],
    )
    weights = paths().runs / "phase4/bright/checkpoints"
    weights.mkdir(parents=True)
    for fold in (0, 1):
        (weights / f"fold{fold}.safetensors").write_bytes(b"weights")
    rows = np.arange(COUNT)
    verdicts = pd.DataFrame({"row": rows, "fold": rows % 2, "group": [f"person{row % 6}" for row in rows]})
    verdicts = verdicts.assign(sample_id=[f"s{row}" for row in rows], source="gan", label=1, wrong=False)
    return SimpleNamespace(name="bright", title="Bright", weights=run, file=tmp_path / "images.npy", verdicts=verdicts)


def heat(hot: int) -> dict[int, np.ndarray]:
    """Return maps that are hottest in one cell, and warm elsewhere."""
    cells = np.random.default_rng(1).random((COUNT, CELLS, CELLS)).astype(np.float32)
    cells.reshape(COUNT, -1)[:, hot] = 2
    return dict(enumerate(cells))


def test_a_map_that_is_right_makes_the_curve_fall_first_and_one_that_is_wrong_does_not(bright):
    (found,) = deletion.write(bright, heat(0), EVALUATION)
    curves = pd.read_csv(paths().table("explain_deletion")).set_index(["order", "deleted"])["probability"]
    # the cell that decides is gone at once, or not until all is
    assert curves["heat", 0] > 0.95 and curves["heat", 0.125] < 0.1
    assert curves["reverse", 0.875] > 0.95 and curves["reverse", 1] == pytest.approx(curves["heat", 1])
    areas = pd.read_csv(paths().table("explain_deletion_area")).set_index("order")
    for order in deletion.ORDERS:
        by_hand = [(curves[order, step / 8] + curves[order, (step + 1) / 8]) / 16 for step in range(8)]
        assert areas.loc[order, "area"] == pytest.approx(sum(by_hand), abs=1e-5)
    apart = areas.loc["random", "area"] - areas.loc["heat", "area"]
    assert areas.loc["heat", "difference"] == pytest.approx(apart, abs=1e-5)
    assert found.verdict == "better" and found.effect == pytest.approx(apart, abs=1e-5) and not found.note
    (found,) = deletion.write(bright, {row: 3 - each for row, each in heat(0).items()}, EVALUATION)
    assert found.verdict == "at_chance"


def test_fakes_that_are_called_fake_and_have_heat_are_painted_over(bright):
    maps = heat(0)
    maps[4] = np.zeros((CELLS, CELLS), np.float32)
    del maps[5]
    verdicts = bright.verdicts
    verdicts.loc[verdicts["row"] == 6, "wrong"] = True
    verdicts.loc[verdicts["row"] == 7, "label"] = 0
    assert set(deletion.chosen(verdicts, maps)["row"]) == set(range(COUNT)) - {4, 5, 6, 7}


def test_where_no_fake_has_heat_there_is_no_curve_and_a_finding_says_so(bright):
    (found,) = deletion.write(bright, {}, EVALUATION)
    assert found.verdict == "not_run" and found.note
    assert pd.read_csv(paths().table("explain_deletion")).empty
    assert pd.read_csv(paths().table("explain_deletion_area")).empty


def test_a_model_to_which_a_plain_patch_looks_fake_is_said_to_be_so(bright, monkeypatch):
    monkeypatch.setattr(
        Bright, "forward", lambda self, images: 1 / images.flatten(1).std(dim=1, keepdim=True).clamp(0.1)
    )
    (found,) = deletion.write(bright, heat(0), EVALUATION)
    assert "plain patch looks fake" in found.note

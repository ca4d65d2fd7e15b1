"""Sound has all that the protocol of modalities wants, and costs nothing to import."""

import importlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from deepfake import modalities
from deepfake.config import ViewConfig
from deepfake.config.images import Normalization, Parts
from deepfake.config.sound import SoundAugmentation
from deepfake.errors import InputError
from deepfake.modalities.base import File
from recordings import speechlike, wav

VIEW = ViewConfig(
    dataset="calls",
    view="log_mel",
    modality="audio",
    geometry="log_mel",
    face_margin=None,
    size=32,
    seconds=1.0,
    loader="opencv",
)


def test_sound_is_loaded_without_torch_or_ffmpeg() -> None:
    code = (
        "import sys; from deepfake import modalities; modalities.load('audio'); print({'torch', 'av'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_modules_that_decide_exist() -> None:
    audio = modalities.load("audio")
    for name in (*audio.CODE, *audio.DECODING):
        assert importlib.import_module(name)


def test_a_recording_goes_from_its_file_to_a_model() -> None:
    audio = modalities.load("audio")
    sound = speechlike(2.6)
    facts = audio.inspect(wav(sound), Parts(frames=1, window=1.0))
    assert isinstance(facts, list)
    rows = [(f"a#{number:03d}", *fact) for number, fact in enumerate(facts)]
    samples = pd.DataFrame(rows, columns=list(audio.MEDIA.columns))
    samples["clip_id"] = "a"
    regions = audio.regions(samples, VIEW, None)
    for seconds in (0.5, 2.0):
        with pytest.raises(InputError, match=rf"calls: .* not cut into windows of {seconds:g} s .*ingest the data set"):
            audio.regions(samples, VIEW.model_copy(update={"seconds": seconds}), None)
    assert list(regions.columns) == list(audio.REGIONS.columns)
    assert regions["start"].tolist() == [0, 16_000, 25_600]
    wanted = [tuple(row) for row in regions.drop(columns="sample_id").itertuples(index=False, name=None)]
    stored = np.concatenate(list(audio.decode(VIEW, [File(wav(sound), wanted)], threads=2)))
    shape, dtype = audio.stored(VIEW)
    assert (stored.shape, stored.dtype.str) == ((3, *shape), dtype)
    assert audio.measure_shown(VIEW, samples, stored, regions, None, threads=1, progress=None) is None  # pyright: ignore

    scale = audio.statistics(VIEW, stored, np.arange(3))
    shown = audio.inputs(VIEW, scale, torch.device("cpu"))(torch.from_numpy(stored))
    assert shown.shape[1:] == audio.shape(VIEW)
    assert abs(float(shown.mean())) < 1e-4
    assert isinstance(scale, Normalization)

    policy = SoundAugmentation.model_validate({"modality": "audio", "gain": {"probability": 1, "min": -6, "max": -6}})
    augmenter = audio.augmenter(VIEW, policy, source=16_000, seed=1, batch_size=3, device=torch.device("cpu"))
    drawn = augmenter.draws(np.arange(3), np.zeros(3, int), 0)
    (softer,) = augmenter.change([(torch.from_numpy(stored), drawn)])
    assert np.abs(softer.numpy() - stored * 10 ** (-6 / 20)).max() <= 0.51

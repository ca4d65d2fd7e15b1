import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from deepfake.errors import InputError
from deepfake.training import checkpoint


def parts(rate=0.1):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    return model, optimizer, scheduler


def step(model, optimizer, scheduler):
    torch.manual_seed(3)
    model(torch.randn(4, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    scheduler.step()


def test_progress_comes_back_whole(tmp_path):
    path = tmp_path / "progress.safetensors"
    first = parts()
    step(*first)
    weights = checkpoint.copy_weights(first[0])
    kept = {"0.weight.step": torch.ones(())}
    checkpoint.save_progress(path, checkpoint.Progress(1, [{"epoch": 1, "auc": 0.1}], 1, 0.1, weights, kept), *first)
    second = parts()
    progress = checkpoint.load_progress(path, *second)
    assert (progress.epoch, progress.history, progress.best_epoch) == (1, [{"epoch": 1, "auc": 0.1}], 1)
    assert second[2].get_last_lr() == first[2].get_last_lr()
    step(*first)
    step(*second)
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, second[0].state_dict()[name]), name
    assert torch.equal(progress.best_weights["0.weight"], weights["0.weight"])
    assert progress.best_optimizer == kept


def test_a_rate_that_a_recorded_step_reads_stays_where_it_was(tmp_path):
    """As on a GPU, where it is a tensor."""
    path, rate = tmp_path / "progress.safetensors", torch.tensor(0.1)
    first = parts(torch.tensor(0.1))
    step(*first)
    checkpoint.save_progress(path, checkpoint.Progress(1, [], 1, 0.1, {}, {}), *first)
    second = parts(rate)
    checkpoint.load_progress(path, *second)
    assert second[1].param_groups[0]["lr"] is rate
    assert rate == first[1].param_groups[0]["lr"]
    for _ in range(3):
        step(*first)
        step(*second)
    assert rate == first[1].param_groups[0]["lr"]
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, second[0].state_dict()[name]), name


def test_copied_weights_do_not_change_with_the_model():
    model, *rest = parts()
    copied = checkpoint.copy_weights(model)
    before = copied["0.weight"].clone()
    step(model, *rest)
    assert torch.equal(copied["0.weight"], before)


def test_a_failed_write_leaves_the_old_weights(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    checkpoint.save_weights({"a": torch.ones(2)}, path)

    def full_disk(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save_weights({"a": torch.zeros(2)}, path)
    assert torch.equal(load_file(path)["a"], torch.ones(2))
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]


def test_weights_come_back_into_a_model(tmp_path):
    (trained, *rest), (other, *_) = parts(), parts()
    step(trained, *rest)
    checkpoint.save_weights(checkpoint.copy_weights(trained), tmp_path / "w.safetensors")
    checkpoint.load_weights(other, tmp_path / "w.safetensors")
    for name, value in trained.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found"),
        (b"not a tensor", "not a safetensors file"),
        ({"0.weight": torch.zeros(5)}, r"not weights of this model \(Missing 0\.bias\)"),
    ],
)
def test_weights_that_do_not_fit_are_an_input_error(tmp_path, content, message):
    path = tmp_path / "w.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        checkpoint.save_weights(content, path)
    with pytest.raises(InputError, match=rf"w\.safetensors: {message}.*train the experiment again") as caught:
        checkpoint.load_weights(parts()[0], path)
    assert "\n" not in str(caught.value)


def test_a_kept_optimiser_is_its_whole_state(tmp_path):
    trained, optimizer, scheduler = parts()
    for _ in range(3):
        step(trained, optimizer, scheduler)
    checkpoint.save_weights(checkpoint.copy_optimizer(trained, optimizer), tmp_path / "o.safetensors")
    kept = load_file(tmp_path / "o.safetensors")
    names = [name for name, _ in trained.named_parameters()]
    state = {
        f"{names[number]}.{slot}": value
        for number, slots in optimizer.state_dict()["state"].items()
        for slot, value in slots.items()
    }
    torch.testing.assert_close(kept, state, rtol=0, atol=0)

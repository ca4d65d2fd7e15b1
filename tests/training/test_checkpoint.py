import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from deepfake.training import checkpoint


def parts():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
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
    checkpoint.save_progress(path, checkpoint.Progress(1, [{"epoch": 1, "auc": 0.1}], 1, 0.1, weights), *first)
    second = parts()
    progress = checkpoint.load_progress(path, *second)
    assert (progress.epoch, progress.history, progress.best_epoch) == (1, [{"epoch": 1, "auc": 0.1}], 1)
    assert second[2].get_last_lr() == first[2].get_last_lr()
    step(*first)
    step(*second)
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, second[0].state_dict()[name]), name
    assert torch.equal(progress.best_weights["0.weight"], weights["0.weight"])


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

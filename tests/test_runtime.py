import os
from pathlib import Path

import pytest

from deepfake import limits, runtime

MIB = 2**20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_limits_of_control_groups_of_both_versions_count(tmp_path):
    groups = tmp_path / "sys/fs/cgroup"
    assert limits.memory(tmp_path) is None
    write(tmp_path / "proc/self/cgroup", "0::/user.slice/session\n")
    write(groups / "user.slice/session/memory.max", "max\n")
    assert limits.memory(tmp_path) is None
    write(groups / "user.slice/memory.max", f"{512 * MIB}\n")
    assert limits.memory(tmp_path) == 512 * MIB
    write(groups / "user.slice/cpu.max", "150000 100000\n")
    assert limits.cores(tmp_path) == 1.5
    # in a container the group lies at the top
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(groups / "memory.max", f"{256 * MIB}\n")
    assert limits.memory(tmp_path) == 256 * MIB
    # version 1: no limit is a large number; docker's name is the host's
    write(tmp_path / "proc/self/cgroup", "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n")
    write(groups / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(groups / "cpu/cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu/cpu.cfs_period_us", "100000\n")
    assert limits.memory(tmp_path) is None
    assert limits.cores(tmp_path) is None
    write(groups / "memory/docker/abc/memory.limit_in_bytes", f"{128 * MIB}\n")
    write(groups / "cpu/cpu.cfs_quota_us", "50000\n")
    assert limits.memory(tmp_path) == 128 * MIB
    assert limits.cores(tmp_path) == 0.5


@pytest.mark.parametrize(("quota", "expected"), [(None, 4), (8.0, 4), (2.5, 2), (0.5, 1)])
def test_a_quota_of_time_counts_as_cores(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    monkeypatch.setattr(limits, "cores", lambda: quota)
    assert runtime.cores() == expected


def test_a_gpu_takes_a_driver_and_a_device_and_may_be_hidden(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not runtime.has_gpu(tmp_path)
    # a container without --gpus, on a machine that has one
    write(tmp_path / "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06")
    write(tmp_path / "dev/nvidiactl", "")
    assert not runtime.has_gpu(tmp_path)
    write(tmp_path / "dev/nvidia0", "")
    assert runtime.has_gpu(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not runtime.has_gpu(tmp_path)

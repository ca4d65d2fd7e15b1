"""The machine a run finds itself on: device, threads, precision, seeds, and the record of all that."""

import contextlib
import ctypes
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake import limits

if TYPE_CHECKING:
    import torch

RECORDED_PACKAGES = (
    *("deepfake", "torch", "timm", "numpy", "pandas", "scikit-learn"),
    *("pillow", "opencv-python-headless", "nvidia-dali-cuda130", "av"),
)
"""The packages that decide results."""


def cores() -> int:
    """Return the number of CPU cores that this process may use, by affinity and by a container's quota of time."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = limits.cores()
    return count if quota is None else min(count, max(1, int(quota)))


def has_gpu(root: Path = Path("/")) -> bool:
    """Tell whether this process may use an NVIDIA GPU, without loading torch.

    The driver alone does not say it: a container without `--gpus` sees the driver of its host, and no device.
    """
    driver = (root / "proc/driver/nvidia/version").exists()
    return driver and not hides_gpus() and any((root / "dev").glob("nvidia[0-9]*"))


def hides_gpus() -> bool:
    """Tell whether CUDA_VISIBLE_DEVICES hides all GPUs."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")


def device() -> "torch.device":
    """Return the CUDA device when there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


GPU_SHARERS = "DEEPFAKE_GPU_SHARERS"
"""The variable by which an executor tells a worker how many jobs share its GPU."""


def gpu_sharers() -> int:
    """Return how many jobs share the GPU of this process, this one included."""
    return int(os.environ.get(GPU_SHARERS, "1"))


def one_thread() -> None:
    """Keep this process on one CPU thread.

    A fold is trained on one thread and folds run side by side: that was 1.3-1.9 times faster than one fold on
    two threads, and the sums come out in the same order whatever the number of cores.
    """
    import torch

    torch.set_num_threads(1)


def keep_memory() -> None:
    """Let this process keep the memory that it frees, instead of giving it back and asking for it anew.

    A forward pass on a processor frees its maps again and again; that took half of the time.
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL("libc.so.6")
        for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(parameter, 2**30)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From malloc.h of glibc."""


def autocast_dtype(precision: str, device: "torch.device", model: "torch.nn.Module") -> "torch.dtype | None":
    """Return the dtype for autocast, or None for full precision.

    `auto` is bf16 on a CUDA device that has it, and on a processor with AVX512-BF16 or AMX unless the model has
    depthwise convolutions with batch norm, which are slower there in bf16 (MobileNetV3-Small at 48 px: 261 against
    519 images a second on one thread). ConvNeXt, which has depthwise convolutions too but computes mostly in linear
    layers, is faster (73 against 44). The choice follows from hardware and model alone, never from a timing.

    Args:
        precision: `auto`, `fp32` or `bf16`.
        device: where the model runs.
        model: the model; its layers are looked at.
    """
    import torch

    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    flags = torch.cpu.get_capabilities()
    has_bf16 = bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))
    modules = list(model.modules())
    depthwise = any(isinstance(module, torch.nn.Conv2d) and module.groups > 1 for module in modules)
    normed = any(isinstance(module, torch.nn.BatchNorm2d) for module in modules)
    return torch.bfloat16 if has_bf16 and not (depthwise and normed) else None


def derived_seed(*parts: object) -> int:
    """Return a seed that depends on all parts and nothing else, so that no two uses share a stream."""
    return zlib.crc32(repr(parts).encode())


def seed_torch(*parts: object) -> None:
    """Seed torch's own generators (initial weights, dropout) from all parts."""
    import torch

    torch.manual_seed(derived_seed(*parts))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_hash(modules: Iterable[str] | None = None) -> str:
    """Return one SHA-256 over the package's own source files: all of them, or those named by path."""
    root = Path(__file__).parent
    paths = root.rglob("*.py") if modules is None else (root / module for module in modules)
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def module_file(module: str) -> str:
    """Return the source file of a module of this package that has no modules below it, as a path inside the package."""
    return module.removeprefix("deepfake.").replace(".", "/") + ".py"


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of packages, None where one is not installed."""
    found: dict[str, str | None] = dict.fromkeys(packages)
    for name in found:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def processor() -> dict[str, str]:
    """Return what computes here: `device`, the name of the GPU or else of the processor, and its `cpu_capability`."""
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor_name()
    return {"device": name, "cpu_capability": torch.backends.cpu.get_cpu_capability()}


def _processor_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def provenance(root: Path, **facts: Any) -> dict[str, Any]:
    """Return the record of a run of the project in a folder: commit, versions, and the facts given.

    Outside a git repository the commit is that of the container image, or None; `dirty` tells whether tracked files
    differ from it.
    """
    return {
        "commit": _git(root, "rev-parse", "HEAD") or os.environ.get("DEEPFAKE_COMMIT") or None,
        "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
        "code_sha256": code_hash(),
        "versions": versions(RECORDED_PACKAGES),
        "python": platform.python_version(),
        **facts,
    }


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""The GPU: whether there is one, whether its driver fits, and whether PyTorch can use it."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deepfake import runtime
from deepfake.ops.doctor.finding import Finding
from deepfake.ops.doctor.probe import PROBES, Answer

MINIMUM_DRIVERS = {11: 450, 12: 525, 13: 580}
"""The oldest driver that runs what was built for a major version of CUDA, whatever its minor version.

NVIDIA, CUDA Compatibility, "Minor Version Compatibility", table 1.
"""
_GIVE = "in a container: docker run --gpus all"
_HIDE = "to train on the CPU instead: export CUDA_VISIBLE_DEVICES="


@dataclass(frozen=True)
class Seen:
    """What the system says of NVIDIA GPUs, without CUDA.

    Args:
        driver: the version of the kernel's driver, or None.
        given: whether this process has a GPU's device file.
        on_bus: whether there is an NVIDIA display or compute device at all.
        names: the GPUs as nvidia-smi lists them, with their memory.
    """

    driver: str | None = None
    given: bool = False
    on_bus: bool = False
    names: tuple[str, ...] = ()


def at_hand() -> Finding:
    """Judge the GPU for a training in this process, with as little as that takes: without a GPU, torch is not asked."""
    seen = look()
    return judge(seen, PROBES["torch"]() if seen.given else {}, runtime.hides_gpus())


def look(root: Path = Path("/")) -> Seen:
    """Look for NVIDIA GPUs below the root of a file system."""
    try:
        driver = driver_version((root / "proc/driver/nvidia/version").read_text(encoding="utf-8"))
    except OSError:
        driver = None
    # WSL has no such files: there the GPU is /dev/dxg
    given = any((root / "dev").glob("nvidia[0-9]*")) or (root / "dev/dxg").exists()
    listed = smi_lines(_smi()) if given or driver else []
    names = tuple(name for name, _ in listed)
    return Seen(driver or next((version for _, version in listed), None), given, _on_bus(root), names)


def driver_version(text: str) -> str | None:
    """Return the version in the text of /proc/driver/nvidia/version."""
    match = re.search(r"Kernel Module.*?\s(\d{3,}(?:\.\d+)+)\s", text)
    return match[1] if match else None


def smi_lines(text: str) -> list[tuple[str, str]]:
    """Return name with memory, and driver, of each GPU in nvidia-smi's CSV (name, memory in MiB, driver)."""
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    return [(f"{row[0]} ({row[1]} MiB)", row[2]) for row in rows if len(row) == 3]


def runs_on(capability: tuple[int, int], architectures: Iterable[str]) -> bool:
    """Tell whether a GPU can run code that was built for some architectures.

    Machine code (`sm_86`) runs on GPUs of the same major and an equal or higher minor version, but on no other when its
    name ends in a; PTX (`compute_90`) runs on all that are newer, too (NVIDIA, CUDA programming guide, "Compute
    Capability").
    """
    for name in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
        if match is None:
            continue
        kind, major, minor, special = match.groups()
        built = (int(major), int(minor))
        newer = kind == "compute" or built[0] == capability[0]
        if built == capability or (special != "a" and newer and built <= capability):
            return True
    return False


def judge(seen: Seen, torch: Answer, hidden: bool) -> Finding:
    """Say whether there is a GPU that PyTorch can use.

    Args:
        seen: what the system says.
        torch: what `probe` found.
        hidden: whether CUDA_VISIBLE_DEVICES hides all GPUs.
    """
    if hidden:
        return Finding("note", "GPU", "hidden by CUDA_VISIBLE_DEVICES; it trains on the CPU", "unset it to use a GPU")
    if devices := torch.get("devices"):
        return _usable(devices, torch, seen.driver)
    if not seen.driver and not seen.given:
        if seen.on_bus:
            oldest = MINIMUM_DRIVERS[max(MINIMUM_DRIVERS)]
            text = "an NVIDIA GPU, but no driver; it trains on the CPU"
            return Finding("note", "GPU", text, f"install the NVIDIA driver, {oldest} or newer; {_GIVE}")
        return Finding("note", "GPU", "none; it trains on the CPU", _GIVE)
    if not seen.given:
        text = f"driver {seen.driver}, but no GPU is given to this process; it trains on the CPU"
        return Finding("note", "GPU", text, _GIVE)
    there = ", ".join(seen.names) or "a GPU"
    if "error" in torch:
        return Finding("note", "GPU", f"{there}, driver {seen.driver or 'unknown'}", "mend torch first")
    return Finding("missing", "GPU", *_why_unusable(there, seen.driver, torch))


def _usable(devices: list[Answer], torch: Answer, driver: str | None) -> Finding:
    """Judge the GPUs that torch has found by whether it has code for them."""
    names = ", ".join(f"{gpu['name']} ({gpu['memory'] / 2**30:.0f} GiB)" for gpu in devices)
    for gpu in devices:
        capability = (gpu["capability"][0], gpu["capability"][1])
        if not runs_on(capability, torch["architectures"]):
            built = " ".join(torch["architectures"])
            text = f"{gpu['name']} has compute capability {capability[0]}.{capability[1]}, PyTorch is built for {built}"
            return Finding("missing", "GPU", text, f"install a build of PyTorch for this GPU; {_HIDE}")
    return Finding("ok", "GPU", f"{names}, driver {driver or 'unknown'}, CUDA {torch['cuda']}")


def _why_unusable(there: str, driver: str | None, torch: Answer) -> tuple[str, str]:
    """Say why torch cannot use a GPU that is there, and what to do."""
    if torch["cuda"] is None:
        return (
            f"{there}, but PyTorch {torch['version']} is a build for the CPU",
            f"make setup installs the other; {_HIDE}",
        )
    oldest = MINIMUM_DRIVERS.get(int(torch["cuda"].split(".")[0]))
    if driver and oldest and int(driver.split(".")[0]) < oldest:
        text = f"{there}, but driver {driver} is too old for CUDA {torch['cuda']} of PyTorch {torch['version']}"
        return text, f"update the driver to {oldest} or newer, or install a build of PyTorch for an older CUDA; {_HIDE}"
    return f"{there}, which PyTorch cannot use: {torch['gpu_error']}", f"does nvidia-smi work? {_GIVE}; {_HIDE}"


def _smi() -> str:
    """Return what nvidia-smi lists, or nothing where it is missing or fails."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _on_bus(root: Path) -> bool:
    """Tell whether the PCI bus has a display (class 03) device of NVIDIA (vendor 10de)."""
    for device in (root / "sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((device / name).read_text(encoding="utf-8").strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == "0x10de" and kind.startswith("0x03"):
            return True
    return False

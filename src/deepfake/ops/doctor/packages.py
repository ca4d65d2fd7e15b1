"""The packages: whether torch, torchvision and DALI work, and whether versions are those of the lock."""

import platform
import re

from deepfake import runtime
from deepfake.ops.doctor.finding import Finding
from deepfake.ops.doctor.probe import Answer
from deepfake.project import paths

_COMPARED = (*(name for name in runtime.RECORDED_PACKAGES if name != "deepfake"), "torchvision", "dvc")


def torch(answer: Answer) -> Finding:
    """Say whether torch and torchvision can be imported, and fit each other."""
    if "error" in answer:
        return Finding("missing", "torch", f"cannot be imported: {answer['message']}", "make setup")
    vision = answer["torchvision"]
    if "error" in vision:
        text = f"torch {answer['version']}, but torchvision does not work with it: {vision['message']}"
        return Finding("missing", "torch", text, f"install both in the versions of {paths().lock}: make setup")
    cuda = f"for CUDA {answer['cuda']}" if answer["cuda"] else "for the CPU"
    return Finding("ok", "torch", f"torch {answer['version']} {cuda}, torchvision {vision['version']}")


def loader(name: str | None, dali: Answer, torch: Answer) -> Finding:
    """Say which loader the preset has, and whether DALI works.

    Args:
        name: the preset's loader; None: not known.
        dali: what `probe` found.
        torch: what `probe` found.
    """
    used = f"{name} by the preset; " if name else ""
    if "error" in dali:
        mark = "missing" if name == "dali" else "note"
        remedy = "make setup, or set the preset's loader to opencv" if name == "dali" else ""
        return Finding(mark, "loader", f"{used}DALI cannot be imported: {dali['message']}", remedy)
    # 13492 is 13.4.92
    major = str(dali["cuda"])[:2]
    found = f"{used}DALI {dali['version']} for CUDA {major}"
    if torch.get("cuda") and major != torch["cuda"].split(".")[0]:
        text = f"{found}, but torch for CUDA {torch['cuda']}: on a GPU they may not work together"
        return Finding("note", "loader", text, f"install the versions of {paths().lock}: make setup")
    return Finding("ok", "loader", found)


def versions() -> Finding:
    """Compare the packages that decide results with the lock."""
    installed = runtime.versions(_COMPARED)
    python = f"Python {platform.python_version()}"
    if not paths().lock.exists():
        return Finding("ok", "versions", python)
    pinned = pins(paths().lock.read_text(encoding="utf-8"))
    other = []
    for name, version in installed.items():
        if name in pinned and (version or "").split("+")[0] not in pinned[name]:
            other.append(f"{name} {version or 'is missing'} instead of {' or '.join(sorted(pinned[name]))}")
    if other:
        text = f"{'; '.join(other)}: results may differ"
        return Finding("note", "versions", text, "make setup")
    return Finding("ok", "versions", f"{python}; the packages that decide results are those of {paths().lock}")


def pins(text: str) -> dict[str, set[str]]:
    """Return the versions that a lock pins; a package may have one for each platform or Python."""
    pinned: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE):
        pinned.setdefault(name, set()).add(version)
    return pinned

"""Rows of the tables that the audit leaves, for those who tell what they say."""

import pandas as pd

from deepfake.evaluation import shortcut_attribution

FAMILIES = {
    **dict.fromkeys(("width", "scale"), ("geometry", "container")),
    **dict.fromkeys(("framing", "face_x", "face_y", "face_cut"), ("framing", "container")),
    **dict.fromkeys(("noise", "sharpness"), ("sharpness", "pixels")),
    "bytes": ("size", "both"),
}
"""The family and the nature of a probe; a family's own probe has its name."""


def row(name: str, auc: float = 0.55, severity: str = "none", subject: str = "files", **more) -> dict:
    family, nature = FAMILIES.get(name, ("all", "both"))
    level = "family" if family == name else "feature"
    if family == "all":
        level = "all" if name == "all" else "source"
    low, high = (0.5, 0.5) if auc == 0.5 else (auc - 0.03 if severity != "none" else 0.45, auc + 0.02)
    return {
        "subject": subject,
        "level": level,
        "name": name,
        "family": family,
        "nature": nature,
        "auc": auc,
        "auc_low": low,
        "auc_high": high,
        "fold_low": low,
        "fold_high": high,
        "p_holm": 0.001 if severity != "none" else 1.0,
        "severity": severity,
    } | more


def frame(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows)


def run(**changes) -> dict:
    values = dict.fromkeys(shortcut_attribution.COLUMNS, 0.6) | {"experiment": "net", "view": "crop", "leak": "crop"}
    return (
        values
        | {
            "samples": 300,
            "groups": 14,
            "pairs": 120,
            "overlap": True,
            "r2": 0.3,
            "r2_low": 0.1,
            "matched_auc_low": 0.55,
        }
        | changes
    )

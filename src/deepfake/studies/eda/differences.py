"""Whether figures of the files differ between real and fake: how well each alone predicts the label of other groups."""

from collections.abc import Iterable

import pandas as pd

from deepfake.config import title
from deepfake.config.params import Params
from deepfake.evaluation import probes
from deepfake.project import paths
from deepfake.studies.eda.samples import Samples
from deepfake.tables import results as result_tables

_FILES = "files"
"""The subject of the probes that see the files (`deepfake probe`)."""
PROBED = {
    "geometry": ("width", "height", "aspect"),
    "compression": ("quality",),
    "size": ("bytes_per_pixel",),
    "colour": ("mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b", "saturation"),
}
"""Figures that `deepfake probe` judges too, by family; where it has, its answers are taken over."""
OWN = {"appearance": ("brightness", "contrast", "gray")}
FACES = {"faces": ("face_found", "face_share")}
"""Figures that are judged here for every data set; faces where they were looked for."""
COLUMNS = [
    *("dataset", "family", "level", "name", "auc", "auc_low", "auc_high", "p_holm", "severity", "verdict", "reason"),
    *("samples", "groups", "judged_by"),
]


def judge(data: Iterable[Samples], settings: Params) -> pd.DataFrame:
    """Judge each figure, and each family of several, by the probes of `evaluation.probes`.

    What is judged here is corrected together (Holm), over all data sets; what is taken over, together with all else
    that `deepfake probe` found.

    Returns:
        One row a data set and figure: `COLUMNS`; `judged_by` is `eda` or `probe`.

    Raises:
        InputError: a data set cannot be cross-validated.
    """
    found: list[tuple[str, probes.Probe]] = []
    taken: list[pd.DataFrame] = []
    sizes = {}
    for each in data:
        development = each.rows[each.rows["split"] == "dev"]
        sizes[each.name] = (len(development), development["group"].nunique())
        families = OWN | (FACES if each.looked_for else {})
        name = title(settings, "probes", each.name)
        if paths().table(name).exists():
            taken.append(_taken(result_tables.read(name)).assign(dataset=each.name))
        else:
            families = PROBED | families
        features = development[[column for family in families.values() for column in family]].reset_index(drop=True)
        listed, _ = probes.probe(_FILES, features, families, probes.identities(development))
        found += [(each.name, one) for one in listed if one.level in ("feature", "family")]
    judged = probes.judge([one for _, one in found], settings.studies.shortcuts.severity, settings.evaluation)
    judged = judged.assign(dataset=[dataset for dataset, _ in found], judged_by="eda")
    every = pd.concat([*taken, judged], ignore_index=True)
    order = {name: place for place, name in enumerate(sizes)}
    every = every.sort_values("dataset", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    for column, place in (("samples", 0), ("groups", 1)):
        every[column] = every["dataset"].map({name: size[place] for name, size in sizes.items()})
    return every[COLUMNS]


def _taken(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of `deepfake probe` to what is asked here."""
    asked = {family: {*names, *([family] if len(names) > 1 else [])} for family, names in PROBED.items()}
    rows = rows[(rows["subject"] == _FILES) & rows["level"].isin(["feature", "family"])]
    wanted = [name in asked.get(family, ()) for family, name in zip(rows["family"], rows["name"], strict=True)]
    return rows[wanted].assign(judged_by="probe", reason=rows["reason"].fillna(""))

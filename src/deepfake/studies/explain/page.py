"""The page on the explanations: where the final models look, what they get wrong, how sure they are."""

import pandas as pd

from deepfake.config import config_of
from deepfake.evaluation.hard_examples import SURE
from deepfake.reports import findings, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.studies.explain import deep, figures, hard
from deepfake.studies.explain.analysis import HEAT, NAME
from deepfake.tables import results as result_tables

TITLE = "Explanations of the final models"
_SIGNED = "{:+.1%}"
ATTENTION = [
    text("Experiment", "experiment"),
    text("Source", "source"),
    text("Decided", "verdict"),
    number("Heat on the face", "heat", "{:.1%}"),
    number("Its area", "area", "{:.1%}"),
    estimate("Excess [95% CI]", "excess", "low", "high", _SIGNED),
    Column("n (groups)", {"": "images", "groups": "groups"}, "{:,} ({})".format),
    number("No heat", "without_heat", "{:,}"),
]
ERRORS = [
    text("Experiment", "experiment"),
    text("Source", "source"),
    Column("Errors", {"": "errors", "samples": "samples"}, "{:,} of {:,}".format),
    number("High-confidence errors", "confident", "{:,}"),
    estimate("Share [95% CI]", "share", "low", "high", "{:.1%}"),
    number("Groups", "groups", "{:,}"),
]


def write() -> None:
    """Write the page and its figure from what `analysis.run` left behind.

    Raises:
        InputError: nothing has been explained yet.
    """
    heat, errors = (result_tables.read(f"{NAME}_{part}") for part in ("gradcam", "confident_errors"))
    figures.histogram(result_tables.read(f"{NAME}_confidence"))
    configs = [config_of(name) for name in errors["experiment"].unique()]
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        title=TITLE,
        found=findings.read(NAME),
        attention=Table(heat, ATTENTION).markdown(),
        cells=heat.groupby("experiment", sort=False)["cells"].first().to_dict(),
        errors=Table(errors, ERRORS).markdown(),
        worst=_worst(errors),
        limit=HEAT,
        sure=SURE,
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
        **deep.values(),
        **hard.values(),
    )


def _worst(errors: pd.DataFrame) -> dict[str, str]:
    """Return the source that each experiment is most often sure of and wrong about, if there is one."""
    some = errors[errors["confident"] > 0].sort_values(["share", "source"], ascending=[False, True])
    first = some.drop_duplicates("experiment")
    return dict(zip(first["experiment"], first["source"], strict=True))

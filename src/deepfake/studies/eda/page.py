"""The page on the data before any training, with its figures."""

from collections.abc import Iterable

from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import pages
from deepfake.reports.findings import Finding
from deepfake.studies.eda import distributions, figures, findings, page_tables
from deepfake.studies.eda.analysis import Outcome
from deepfake.studies.eda.page_tables import plain

_DRAWN = ("brightness", "contrast", "saturation", "mean_r", "mean_g", "mean_b")
"""The colours in the figure; the table has the others, too."""


def write(outcome: Outcome, settings: Params) -> None:
    """Write the page and its figures.

    Args:
        outcome: what `analysis.run` has found out.
        settings: the checked params.yaml.
    """
    name, found = outcome.name, outcome.tables
    shown = figures.largest(found["sources"])
    figures.counts(found["sources"], shown, paths().figure(f"{name}_sources"))
    figures.distributions(found["sizes"], distributions.SIZES, shown, paths().figure(f"{name}_sizes"))
    panels = {measure: said for measure, said in distributions.COLOURS.items() if measure in _DRAWN}
    figures.distributions(found["colours"], panels, shown, paths().figure(f"{name}_colours"))
    figures.shares(found["splits"], paths().figure(f"{name}_splits"))
    if len(found["faces"]):
        figures.faces(found["faces"], figures.largest(found["faces"]), paths().figure(f"{name}_faces"))
    if outcome.scales is not None:
        figures.zscores(outcome.scales.zscores, paths().figure(f"{name}_normalization"))
    rest = found["summary"]["dataset"].iloc[1:]
    others = [one for one in outcome.found.values() if one.id.endswith(tuple(f".{each}" for each in rest))]
    pages.write(
        name,
        __package__ or "",
        "page.md.j2",
        name=name,
        datasets=[plain(each) for each in found["summary"]["dataset"]],
        found=_plain(one for one in outcome.found.values() if one not in others),
        others=_plain(others),
        sources=len(found["sources"].drop_duplicates(["dataset", "source"])),
        shown=len(shown),
        scales=outcome.scales,
        failing=[plain(line) for line in findings.failing(found["quality"])],
        limits=settings.studies.shortcuts.severity,
        photographs=settings.dataset in set(found["summary"]["dataset"]),
        rope=findings.ROPE,
        tables=page_tables.markdown(found),
    )


def _plain(found: Iterable[Finding]) -> list[Finding]:
    """Return findings whose questions are text of a page."""
    return [one.model_copy(update={"question": plain(one.question)}) for one in found]

"""The page of the final model."""

from collections.abc import Mapping
from typing import Any

from deepfake.config import config_of, facts_of, read_final
from deepfake.project import paths
from deepfake.reports import figures, findings, pages, settings
from deepfake.reports.columns import Table, estimate, number, text
from deepfake.studies import results
from deepfake.studies.operating_points import curves
from deepfake.studies.operating_points import figures as points_figures
from deepfake.tables import results as result_tables

NAME = "final"
TITLE = "The final model on the test set"


def write() -> None:
    """Write the page from the table of figures and the finding."""
    name = read_final()
    rows = result_tables.read("final_test")
    held_out = result_tables.read("phase4b_experiments").set_index("experiment").loc[name]
    shown = Table(
        rows.assign(note=rows["note"].fillna("")),
        [
            text("Figure", "metric"),
            estimate("Value [95% CI]", "value", "low", "high"),
            number("n", "samples", "{:,}"),
            number("Groups", "groups", "{}"),
            text("Note", "note"),
        ],
    )
    selective = _draw(name, rows.set_index("metric").to_dict("index"))
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        title=TITLE,
        found=findings.read(NAME),
        name=name,
        table=shown.markdown(),
        selective=selective,
        held_out=held_out["auc"],
        settings=settings.shared([config_of(name)]),
        predict=f"deepfake predict FILE --run {name}",
        summary=paths().page("summary").name,
    )


def _draw(name: str, known: Mapping[Any, Any]) -> str:
    """Draw what the study's tables hold, and return the table of the area under the risk-coverage curve."""
    title = results.title(facts_of(name))
    titles, line = {name: title}, "the final model"
    curves.draw(NAME, titles, {name: known["average precision"]["value"]}, line=line)
    figures.confusion({title: result_tables.read(f"{NAME}_confusion")}, paths().figure(f"{NAME}_confusion"))
    ece = known["ECE"]
    told = {title: f"ECE {ece['value']:.3f}, {ece['note']}"}
    bins = {title: result_tables.read(f"{NAME}_reliability")}
    points_figures.reliability(bins, told, paths().figure(f"{NAME}_reliability"))
    return curves.draw_decided(NAME, titles, line)

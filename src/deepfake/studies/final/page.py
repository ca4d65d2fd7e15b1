"""The page of the final model."""

from deepfake.config import config_of, read_final
from deepfake.project import paths
from deepfake.reports import findings, pages, settings
from deepfake.reports.columns import Table, estimate, number, text
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
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        title=TITLE,
        found=findings.read(NAME),
        name=name,
        table=shown.markdown(),
        held_out=held_out["auc"],
        settings=settings.shared([config_of(name)]),
        predict=f"deepfake predict FILE --run {name}",
        summary=paths().page("summary").name,
    )

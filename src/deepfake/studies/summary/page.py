"""The summary: what was studied on which data, what came out, and how sure that is, in two minutes."""

from collections.abc import Iterator, Mapping

import pandas as pd

from deepfake import project, tables
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.reports import wording
from deepfake.reports.columns import Table, text
from deepfake.studies import results
from deepfake.studies.explain import page as explain_page
from deepfake.studies.phases import page as phases_page
from deepfake.studies.phases import questions, rankings
from deepfake.studies.phases.answers import Answer
from deepfake.studies.results import Results
from deepfake.tables import results as result_tables

_PAGES = {
    **phases_page.TITLES,
    explain_page.NAME: explain_page.TITLE,
    "shortcuts": "Shortcuts",
    "robustness": "Robustness",
    "imbalance": "Class imbalance",
    "generalization": "Other data sets",
}
"""The pages that the summary links, when they are part of the study."""


def write(settings: Params, headlines: Mapping[str, str] | None = None) -> None:
    """Write reports/summary.md from the manifest and the tables of the phases, and the plan's summary as a table.

    Args:
        settings: checked params.
        headlines: what other pages found, a sentence each, by the page's name (`shortcuts`, `robustness`, ...).
    """
    headlines = headlines or {}
    manifest = tables.read(paths().manifest(settings.dataset), tables.MANIFEST)
    study = _Study(settings)
    overview = Table(study.overview(), [text(heading, heading) for heading in HEADINGS])
    result_tables.write(overview.csv(), "summary_study")
    parts = [
        "# What the detectors can do, and how sure that is",
        wording.scope(settings.preset, settings.dataset),
        "## Key answers",
        phases_page.bullets(study.key_answers(headlines)),
        "## The study",
        overview.markdown(),
        f"{wording.csv('summary_study')}. Pages: {_links(headlines)}.",
        "## What phase 2 decided",
        study.phase2["decision"].text(),
        _custom(settings),
        _data(settings, manifest),
        wording.READING,
    ]
    tables.write_text("\n\n".join(part for part in parts if part) + "\n", paths().summary)


HEADINGS = (
    *("Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment", "CV"),
    "Conclusion",
)
"""Those of the plan's summary table, and what came out."""
_VARIABLES = {
    "1": "Architecture Baseline",
    "2A": "Shortcut Analysis",
    "2A-Holdout": "Source Holdout",
    "2B": "Resolution",
    "2C": "Facecrop",
    "2D": "Augmentation (no facecrop)",
    "2E": "Augmentation + Facecrop",
    "3": "Extended Architectures",
    "4A": "Data Quantity",
    "4B": "Final Evaluation",
}
"""What each phase of the plan tests, in the plan's words."""


class _Study:
    """All phases with the answers that they give."""

    def __init__(self, settings: Params) -> None:
        self.found = {
            name: results.read(name, settings) for name in ("phase1", "phase2", "phase3", "phase4a", "phase4b")
        }
        self.baseline = rankings.baseline(self.found["phase1"])
        self.phase2 = questions.phase2(self.found["phase2"], settings)
        self.phase3 = questions.phase3(self.found["phase3"], settings)
        self.phase4 = questions.phase4(self.found["phase4a"], self.found["phase4b"], settings)

    def key_answers(self, headlines: Mapping[str, str]) -> Iterator[str]:
        """Yield the answers that matter most, each a sentence."""
        two, three, four = self.phase2, self.phase3, self.phase4
        yield _brief(four["final"], "phase4")
        yield _brief(four["errors"], "phase4")
        for name, sentence in headlines.items():
            yield f"**{_PAGES.get(name, name)}:** {sentence} ([more]({paths().page(name).name}))"
        for answer, page in (
            (two["geometry"], "phase2"),
            (two["colour"], "phase2"),
            (two["sources"], "phase2"),
            (two["removal"], "phase2"),
            (two["removal_face"], "phase2"),
            (three["best"], "phase3"),
            (four["scaling"], "phase4"),
        ):
            yield _brief(answer, page)

    def overview(self) -> pd.DataFrame:
        """Return the plan's summary table with a conclusion for each of its rows."""
        two, three, four = self.phase2, self.phase3, self.phase4
        second = self.found["phase2"]
        rows = {
            "1": (self.found["phase1"], None, [self.baseline]),
            "2A": (second, ("phase2a_geometry", "phase2a_colour"), [two["geometry"], two["colour"]]),
            "2A-Holdout": (second, ("phase2a_holdout",), [two["sources"]]),
            "2B": (second, ("phase2b",), [two["resolution"]]),
            "2C": (second, ("phase2c",), [two["face_crop"]]),
            "2D": (second, ("phase2d",), [two["augmentation"], two["removal"]]),
            "2E": (second, ("phase2e",), [two["augmentation_face"], two["removal_face"]]),
            "3": (self.found["phase3"], None, [three["best"]]),
            "4A": (self.found["phase4a"], None, [four["scaling"]]),
            "4B": (self.found["phase4b"], None, [four["final"], four["errors"]]),
        }
        return pd.DataFrame(
            [
                {"Phase": phase, "Variable Tested": _VARIABLES[phase]}
                | _varied(found, compared)
                | {"Conclusion": "; ".join(answer.short for answer in answers)}
                for phase, (found, compared, answers) in rows.items()
            ]
        )


def _brief(answer: Answer, page: str) -> str:
    """Return an answer without its numbers, with a link to them."""
    return f"**{answer.question}** {answer.headline()}. ([more]({paths().page(page).name}))"


def _varied(found: Results, compared: tuple[str, ...] | None) -> dict[str, str]:
    """Return models and conditions of the experiments of some tables, or of a whole phase, as the plan writes them."""
    names = (
        found.rows["experiment"].tolist()
        if compared is None
        else [name for table in compared for name in found.experiments(table)]
    )
    rows = found.rows[found.rows["experiment"].isin(names)]
    shares = [f"{100 * share:.0f}" for share in sorted(rows["fraction"].unique())]
    return {
        "Models": ", ".join(dict.fromkeys(found.titles[name] for name in names)),
        "Data": f"{'/'.join(shares)}%",
        "Resolution": "/".join(str(size) for size in sorted(rows["resolution"].unique())),
        "Facecrop": _either(rows["face_crop"]),
        "Augment": _either(rows["augmented"]),
        "CV": f"{found.folds['fold'].nunique()}-fold stratified",
    }


def _either(values: pd.Series) -> str:
    """Return `Yes`, `No`, or `±` where a condition is varied."""
    return "±" if values.nunique() > 1 else "Yes" if values.iloc[0] else "No"


def _links(headlines: Mapping[str, str]) -> str:
    """Return links to all pages."""
    names = [*phases_page.TITLES, explain_page.NAME, *headlines]
    return ", ".join(f"[{_PAGES.get(name, name)}]({paths().page(name).name})" for name in names)


def _custom(settings: Params) -> str:
    """Return the section on the custom run."""
    found = results.read("custom", settings)
    row = found.row(project.CUSTOM_EXPERIMENT)
    evaluation = settings.evaluation
    tests = found.tests[found.tests["experiment"] == project.CUSTOM_EXPERIMENT]
    sentences = [
        wording.learned(row, evaluation.confidence),
        *(
            wording.difference(test, found.rows, evaluation.confidence, evaluation.significance)
            for _, test in tests.iterrows()
        ),
    ]
    return "\n\n".join(
        [
            f"## The custom run: {row['model']}",
            "`dvc exp run -S model=NAME` trains another model here ([its page](custom.md)).",
            phases_page.bullets(sentences),
        ]
    )


def _data(settings: Params, manifest: pd.DataFrame) -> str:
    """Return the section on the data set and its splits."""
    dataset = settings.dataset
    entry = catalog.find(dataset)
    refused, repeated = (len(pd.read_csv(path)) for path in (paths().quarantine(dataset), paths().duplicates(dataset)))
    counted = tables.with_media(manifest, paths().media(dataset)).assign(
        kind=manifest["label"].map({tables.REAL: "real", tables.FAKE: "fake"})
    )
    sizes = counted["width"].astype(str) + "×" + counted["height"].astype(str)
    by_source = counted.assign(size=sizes).groupby(["kind", "source"])
    rows = by_source.agg(
        samples=("sample_id", "size"),
        groups=("group", "nunique"),
        development=("split", lambda split: int((split == "dev").sum())),
        test=("split", lambda split: int((split == "test").sum())),
        pixels=("size", lambda size: ", ".join(size.value_counts().index[:2])),
    )
    rows = rows.sort_index(ascending=False).reset_index()
    folds = manifest.loc[manifest["split"] == "dev"].groupby("fold")["group"].nunique()
    made = [name for name in (dataset, *settings.studies.generalization.datasets) if name in catalog.GENERATED]
    pictures = {name: f"A few images of each source of {name}" for name in made} | _CAPTIONS
    return "\n\n".join(
        [
            f"## Data\n\n**{dataset}**: {entry.title}. {len(manifest):,} samples in {manifest['group'].nunique()} "
            f"groups, {refused} files in quarantine, {repeated} files that stand in several groups or under both "
            f"labels. {folds.sum()} development groups in {len(folds)} folds "
            f"({', '.join(str(count) for count in folds)}); the other groups are the test set.",
            rows.to_markdown(index=False),
            wording.faces(result_tables.read(f"faces_{settings.dataset}")),
            *(f"{wording.photographs(name, caption)}\n\n*{caption}.*" for name, caption in pictures.items()),
            "*The pictures are made by `dvc repro` and not kept in git: the photographs may not be redistributed.*",
        ]
    )


_CAPTIONS = {
    "views": "What each view shows of one image of each source",
    "augmentation": "One image of each source before augmentation, after each step alone at its strongest, and after "
    "whole policies",
}

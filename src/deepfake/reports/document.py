"""The summary: what was run on which data, what came out, and how sure that is."""

import pandas as pd

from deepfake import layout, tables
from deepfake.config import RunConfig, resolve
from deepfake.data import catalog
from deepfake.params import Params
from deepfake.reports import figures, wording


def write(settings: Params) -> None:
    """Write reports/summary.md and its figures from the manifest and the tables of the comparisons."""
    manifest = tables.read(layout.manifest(settings.dataset), tables.MANIFEST)
    parts = [
        "# What the detectors can do, and how sure that is",
        wording.scope(settings.preset, settings.dataset),
        _data(settings, manifest),
        _phase1(settings),
        _custom(settings),
        wording.READING,
    ]
    tables.write_text("\n\n".join(part for part in parts if part) + "\n", layout.SUMMARY)


def _data(settings: Params, manifest: pd.DataFrame) -> str:
    """Return the section on the data set and its splits."""
    name = settings.dataset
    entry = catalog.find(name)
    refused, repeated = (len(pd.read_csv(path)) for path in (layout.quarantine(name), layout.duplicates(name)))
    counted = manifest.assign(kind=manifest["label"].map({tables.REAL: "real", tables.FAKE: "fake"}))
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
    pictures = ["sample", "views", "augmentation"] if name == catalog.GENERATED else ["views", "augmentation"]
    return "\n\n".join(
        [
            f"## Data\n\n**{name}**: {entry.title}. {len(manifest):,} samples in {manifest['group'].nunique()} groups, "
            f"{refused} files in quarantine, {repeated} files that stand in several groups or under both labels. "
            f"{folds.sum()} development groups in {len(folds)} folds ({', '.join(str(count) for count in folds)}); the "
            "other groups are the test set.",
            rows.to_markdown(index=False),
            wording.faces(pd.read_csv(layout.table("faces"))),
            *(f"![{_CAPTIONS[picture]}]({_link(picture)})\n\n*{_CAPTIONS[picture]}.*" for picture in pictures),
            "*The pictures are made by `dvc repro` and not kept in git: the photographs may not be redistributed.*",
        ]
    )


_CAPTIONS = {
    "sample": "A few images of each source",
    "views": "What each view shows of one image of each source",
    "augmentation": "One image of each source before augmentation, after each step alone at its strongest, and after "
    "whole policies",
}


def _conditions(configs: list[RunConfig]) -> str:
    """Say whether experiments were trained under the same conditions, and what those of the first were."""
    config = configs[0]
    return (
        f"{wording.sameness(configs)} {wording.view(config)}; {wording.augmentation(config)}; "
        f"{wording.statistics(config)}; "
        f"{config.fraction:.0%} of the development groups, {config.folds} grouped folds; AdamW, learning rate "
        f"{config.lr:g}, weight decay {config.weight_decay:g}, cosine schedule over {config.epochs} epochs, "
        f"early stopping after {config.early_stopping_patience}; batches of {config.batch_size}; loss "
        f"{config.loss}; trained from scratch."
    )


def _phase1(settings: Params) -> str:
    """Return the section on the architecture baseline."""
    rows, tests = _comparison("phase1")
    names = rows["experiment"].tolist()
    figures.auc(rows, pd.read_csv(layout.table("phase1_folds")), layout.figure("phase1_auc"))
    figures.curves(
        {name: pd.read_csv(layout.history(name)) for name in names},
        layout.figure("phase1_curves"),
    )
    figures.roc(
        {name: pd.read_csv(layout.roc(name)) for name in names},
        {name: pd.read_csv(layout.confusion(name)) for name in names},
        layout.figure("phase1_roc"),
    )
    return "\n\n".join(
        [
            "## Phase 1: architecture baseline",
            _conditions([resolve(settings, name) for name in names]),
            _table(rows, settings.evaluation.confidence),
            f"![AUC]({_link('phase1_auc')})",
            "### What follows",
            _findings(rows, tests, settings),
            "### How training went",
            f"![learning curves]({_link('phase1_curves')})",
            "### Decisions",
            "Each fold at its own threshold (Youden's J on its inner validation), all held-out samples.",
            f"![ROC and confusion]({_link('phase1_roc')})",
        ]
    )


def _custom(settings: Params) -> str:
    """Return the section on the custom run."""
    rows, tests = _comparison("custom")
    config = resolve(settings, layout.CUSTOM_EXPERIMENT)
    return "\n\n".join(
        [
            f"## The custom run: {config.model}",
            "`dvc exp run -S model=NAME` trains another model here.",
            _conditions([resolve(settings, name) for name in rows["experiment"]]),
            _table(rows, settings.evaluation.confidence),
            _findings(rows.tail(1), tests, settings, known=rows),
        ]
    )


def _comparison(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a comparison's table and tests."""
    return pd.read_csv(layout.table(name)), pd.read_csv(layout.table(f"{name}_tests"))


def _findings(rows: pd.DataFrame, tests: pd.DataFrame, settings: Params, known: pd.DataFrame | None = None) -> str:
    """Return what a comparison shows, a sentence a line."""
    evaluation = settings.evaluation
    columns = figures.source_columns(rows)
    sentences = [wording.learned(row, evaluation.confidence) for _, row in rows.iterrows()]
    sentences += [
        wording.difference(test, rows if known is None else known, evaluation.confidence, evaluation.significance)
        for _, test in tests.iterrows()
    ]
    sentences += [wording.gap(row) for _, row in rows.iterrows()]
    sentences += [wording.sources(row, columns) for _, row in rows.iterrows() if row["learned"]]
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _table(rows: pd.DataFrame, confidence: float) -> str:
    """Return a comparison as a Markdown table with the plan's columns."""
    shown = pd.DataFrame(
        {
            "experiment": rows["experiment"],
            "model": rows["model"],
            "params": rows["parameters"].map("{:,}".format),
            "AUC": [f"{row['auc']:.3f} ± {row['auc_std']:.3f}" for _, row in rows.iterrows()],
            f"{confidence:.0%} interval (groups)": [wording.interval(row, "auc_") for _, row in rows.iterrows()],
            f"{confidence:.0%} interval (folds)": [wording.interval(row, "fold_") for _, row in rows.iterrows()],
            "train/val gap": rows["train_val_gap"].map("{:+.3f}".format),
            **{
                column.removeprefix("auc_"): rows[column].map("{:.3f}".format)
                for column in figures.source_columns(rows)
            },
            "source variance": rows["source_auc_variance"].map("{:.4f}".format),
            "EER": rows["eer"].map("{:.3f}".format),
            "balanced accuracy": rows["balanced_accuracy"].map("{:.3f}".format),
            "test AUC": rows["test_auc"].map("{:.3f}".format),
            "n (groups)": [f"{row['samples']:,} ({row['groups']})" for _, row in rows.iterrows()],
        }
    )
    return shown.to_markdown(index=False, disable_numparse=True)


def _link(figure: str) -> str:
    """Return a figure's path as the summary links it."""
    return layout.figure(figure).relative_to(layout.REPORTS).as_posix()

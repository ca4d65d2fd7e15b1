"""The plan's tables, under the plan's own headings, with the numbers of the comparison."""

import pandas as pd
import pytest
from markdown_tables import tables as taken_apart

from deepfake.project import paths
from deepfake.studies.phases import design_tables

pytest_plugins = ["reported_study"]

PHASE2A = ["Experiment", "AUC", "Train/Val Gap", "Per-Source AUC Variance"]
HEADINGS = {
    "phase1": ["Model", "Params", "AUC (mean ± std)"],
    "phase2a_geometry": PHASE2A,
    "phase2a_colour": PHASE2A,
    "phase2a_holdout": [
        *("Experiment", "Held-out Source", "Train Sources", "Held-out AUC", "In-Source AUC"),
        "Δ (In-Source - Held-out)",
    ],
    "phase2b": ["Model", "48×48 AUC", "64×64 AUC", "Δ"],
    "phase2c": ["Model", "No Facecrop AUC", "Facecrop AUC", "Δ"],
    "phase2d": [
        *("Model", "No Aug AUC", "With Aug AUC", "Δ"),
        *("Train/Val Gap (No Aug)", "Train/Val Gap (With Aug)"),
    ],
    "phase2e": [
        *("Model", "Facecrop Only AUC", "Facecrop + Aug AUC", "Δ"),
        *("Train/Val Gap (Only)", "Train/Val Gap (With Aug)"),
    ],
    "phase3": ["Model", "Params", "AUC (mean ± std)"],
    "phase4a": ["Model", "75% Data AUC", "90% Data AUC", "100% Data AUC", "Δ (100% - 75%)"],
}


@pytest.fixture
def there(reported, monkeypatch):
    monkeypatch.chdir(reported[0])


@pytest.mark.parametrize("name", HEADINGS)
def test_the_plans_columns_come_first(there, name):
    headings = HEADINGS[name]
    assert list(pd.read_csv(paths().table(name)))[: len(headings)] == headings
    page = paths().page(name[: len("phase1")]).read_text("utf-8")
    assert headings in [rows[0][: len(headings)] for rows in taken_apart(page)]


def figures(phase: str) -> pd.DataFrame:
    return pd.read_csv(paths().table(f"{phase}_experiments")).set_index("experiment")


def test_a_paired_table_has_the_numbers_of_its_experiments(there):
    shown, known = pd.read_csv(paths().table("phase2d")).set_index("Model"), figures("phase2")
    row = shown.loc["SimpleCNN"]
    assert row["No Aug AUC"] == known.loc["simple_cnn_high", "auc"]
    assert row["With Aug AUC"] == known.loc["simple_cnn_augmented", "auc"]
    assert row["Train/Val Gap (With Aug)"] == known.loc["simple_cnn_augmented", "train_val_gap"]
    assert row["Δ"] == pytest.approx(row["With Aug AUC"] - row["No Aug AUC"], abs=2e-6)
    assert row["n (groups)"] == known.loc["simple_cnn_augmented", "samples"]


def test_scaling_has_the_numbers_of_each_share(there):
    shown, known = pd.read_csv(paths().table("phase4a")), figures("phase4a")
    for place, share in enumerate(["_best", "_best_medium", "_best_all"], start=1):
        names = [name for name in known.index if name.endswith(share)]
        assert shown.iloc[:, place].tolist() == known.loc[names, "auc"].tolist()


def test_holdout_names_the_sources_that_were_trained_on(there):
    shown = pd.read_csv(paths().table("phase2a_holdout"), keep_default_na=False).set_index("Experiment")
    assert shown.loc["Baseline", ["Held-out Source", "Train Sources", "Held-out AUC"]].tolist() == ["None", "All", ""]
    assert shown.loc["Holdout insight", "Train Sources"] == "wiki, inpainting, text2img"
    known = pd.read_csv(paths().table("phase2_holdout")).set_index("source")
    assert float(shown.loc["Holdout insight", "Held-out AUC"]) == known.loc["insight", "held_out_auc"]
    assert float(shown.loc["Baseline", "In-Source AUC"]) == figures("phase2").loc["resnet18_high", "auc"]


def test_conditions_go_by_the_plans_names(there):
    for name, told in (
        ("phase2a_geometry", ["Original images (standard eval)", "Matched geometry (letterboxed real images)"]),
        ("phase2a_colour", ["ImageNet normalization", "Real-image-only normalization"]),
    ):
        assert pd.read_csv(paths().table(name))["Experiment"].tolist() == told


def test_what_is_not_of_the_plan_is_marked(there):
    marked = pd.read_csv(paths().table("phase3"))["Model"]
    assert marked[marked.str.endswith("†")].tolist() == ["EfficientNet-Lite0 (ImageNet weights) †"]


def test_shortcut_removal_has_the_plans_metrics(there):
    changes = pd.read_csv(paths().table("phase2_shortcuts"))
    each = ["inpainting AUC", "insight AUC", "text2img AUC"]
    for _, rows in changes.groupby(["table", "model"]):
        assert rows["metric"].tolist() == ["Train AUC", "Held-out AUC", "Train/Val Gap", *each, "AUC Variance"]
    assert (changes["change"] - (changes["with"] - changes["without"])).abs().max() < 2e-6


@pytest.mark.parametrize(
    ("metric", "change", "low", "high", "reading"),
    [
        ("Train/Val Gap", -0.1, -0.2, -0.01, "↓ good"),
        ("Train/Val Gap", 0.1, 0.01, 0.2, "↑ bad"),
        ("Train/Val Gap", -0.1, -0.2, 0.01, "↓ within noise"),
        ("AUC Variance", -0.1, -0.2, -0.01, "↓ good"),
        ("Train AUC", -0.1, -0.2, -0.01, "↓ expected"),
        ("Train AUC", 0.1, 0.01, 0.2, "↑ unexpected"),
        ("insight AUC", 0.1, 0.01, 0.2, "↑ good"),
        ("Held-out AUC", -0.1, -0.2, -0.01, "↓ bad"),
        ("Held-out AUC", 0.0, 0.0, 0.0, "→ no change"),
    ],
)
def test_a_change_is_read_by_what_is_wanted_of_its_metric(metric, change, low, high, reading):
    row = {"metric": metric, "without": 0.5, "with": 0.5 + change, "change": change, "low": low, "high": high}
    table = design_tables.removal(pd.DataFrame([row]), 0.95)
    assert table.csv()["Interpretation"].tolist() == [reading]
    assert list(table.csv())[:4] == ["Metric", "Without Aug", "With Aug", "Interpretation"]

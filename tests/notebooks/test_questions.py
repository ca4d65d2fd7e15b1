"""The study design's list of what each notebook answers, point by point, and what its cells may be."""

import ast
import inspect
import re
from typing import Any

import jupytext
import pytest

from conftest import ROOT
from deepfake.project import Project, paths
from deepfake.reports import notebook as shown_by
from deepfake.tables.results import RESULTS, find

NOTEBOOKS = ROOT / "notebooks"
DESIGN: dict[str, list[str]] = {
    "01_eda": [
        "Dataset overview (real vs fake distribution, sources)",
        "Image resolution/aspect ratio analysis (identify potential shortcuts)",
        "Color distribution analysis (identify potential shortcuts)",
        "Sample visualization from each source (text2img, inpainting, insight, wiki)",
        "Statistical summary of the dataset",
        "Data quality checks",
    ],
    "02_preprocessing": [
        "Square crop and resize implementation demonstration",
        "Face crop (MTCNN) demonstration and effectiveness analysis",
        "Augmentation pipeline visualization (before/after examples)",
        "Z-score normalization comparison (ImageNet vs real-image-only)",
        "Data split verification (group-aware by basename, no overlap)",
        "Preprocessing impact visualization",
    ],
    "03_phase1_analysis": [
        "SimpleCNN vs ResNet18 comparison",
        "5-fold stratified CV results (mean ± std with confidence intervals)",
        "Per-source metrics for each model (text2img, inpainting, insight)",
        "Train/val/test performance curves across epochs",
        "Confusion matrices for each model",
        "Statistical significance testing between models",
        "Grad-CAM visualizations for both models (10-20 images each)",
        "Conclusions: Which baseline is better and why",
    ],
    "04_phase2_analysis": [
        "2A: Resolution impact (128×128 vs 224×224)",
        "2B: Facecrop impact",
        "2C: Shortcut analysis (resolution/ratio + color distribution)",
        "2D: Augmentation impact (without facecrop)",
        "2E: Augmentation + facecrop combined",
        "Comparison tables across all Phase 2 experiments",
        "Overall conclusions: Which preprocessing choices work best and why",
        "Overall conclusions: Are shortcuts being learned (resolution, color distribution)?",
        "Overall conclusions: Does augmentation remove shortcuts or over-regularize?",
        "Overall conclusions: Recommendations for Phase 3 (best preprocessing settings)",
    ],
    "05_phase3_analysis": [
        "ResNet34, ResNet50, EfficientNet-B0, ConvNeXt-Tiny, MobileNetV3-Small",
        "5-fold CV results (mean ± std) for each model",
        "Per-source metrics for each model",
        "Comparison with Phase 1 baselines (ResNet18, SimpleCNN)",
        "Statistical significance testing vs baselines",
        "Grad-CAM visualizations for top models (10-20 images each)",
        "Parameter count vs performance analysis",
        "Conclusions: Which architectures work best and why",
    ],
    "06_phase4_analysis": [
        "4A: Data quantity scaling (20%, 50%, 100%) on top 3-4 models",
        "4B: Comprehensive evaluation on full dataset",
        "Detailed per-source metrics for final models",
        "Grad-CAM visualizations for final models (10-20 images each)",
        "Hard example analysis (false positives/negatives) with visualizations",
        "Confidence distribution analysis (histograms)",
        "Cross-validation results (mean ± std with confidence intervals)",
        "Final model comparison and selection",
        "Conclusions and recommendations",
    ],
    "07_gradcam_deep_dive": [
        "Comprehensive Grad-CAM analysis across all phases and models",
        "Feature visualization for different model architectures (CNN vs EfficientNet vs ConvNeXt)",
        "Comparison of what different models focus on (face regions, backgrounds, artifacts)",
        "Evidence of shortcut removal (or lack thereof) across phases",
        "Temporal analysis: does model attention change with different preprocessing?",
        "Visual explanations suitable for presentation",
    ],
    "08_cross_dataset": [
        "Summary",
        "Visualization comparing datasets",
        "Does the model generalize poorly in general, or is In-The-Wild particularly challenging?",
        "What characteristics make a dataset harder for the model?",
        "Is the issue with the model architecture or training data?",
        "Recommendations",
        "Class balancing: mitigations (focal loss, WeightedRandomSampler, pos_weight)",
        "Class balancing: training progress",
        "Class balancing: threshold tuning",
        "Class balancing: expected improvements",
    ],
}
"""Headings in the design's own words: the bullet lists of its notebooks, and of the two documents behind the last."""
EACH_EXPERIMENT = [
    "5-fold CV results (mean ± std with confidence intervals)",
    "Per-source metrics (text2img, inpainting, insight)",
    "Statistical significance testing vs baseline",
    "Grad-CAM visualizations (10-20 images per condition)",
    "Analysis of train/val gap changes",
    "Analysis of per-source AUC variance changes",
]
"""What the design wants of each experiment of phase 2."""
SHOW = {"table", "spread", "figure", "photograph", "findings", "conclusions", "conclude", "decision"}
OF_OTHER_PRESETS = {"imbalance_training"}
"""Figures that the committed results, of the preset `quick`, lack."""
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.py"))


def _cells(name: str) -> list[Any]:
    return jupytext.read(NOTEBOOKS / f"{name}.py", fmt="py:percent").cells


def _sections(name: str) -> list[tuple[str, list[Any]]]:
    """Return each heading of a notebook, with the code cells up to the next."""
    sections: list[tuple[str, list[Any]]] = []
    for cell in _cells(name):
        if cell.cell_type == "code":
            sections[-1][1].append(cell)
        elif found := re.match(r"#+ (.+)", cell.source):
            sections.append((found[1], []))
    return sections


def _shows(cell: Any) -> set[str]:
    """Return what a cell calls of the functions that show something."""
    calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    return {node.func.attr for node in calls if isinstance(node.func, ast.Attribute)} & SHOW


class _Recorder:
    """Stands for the module that cells call: what they ask for, without showing it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, function: str) -> Any:
        def called(*args: Any, **more: Any) -> list[str]:
            self.calls.append((function, args, more))
            return []

        return called


def _calls(name: str, function: str) -> list[inspect.BoundArguments]:
    """Return how a notebook calls a function that shows something."""
    recorder = _Recorder()
    code = [cell.source for cell in _cells(name) if cell.cell_type == "code"]
    names = {"nb": recorder}
    for cell in code:
        exec(re.sub("^from .* import notebook as nb$", "", cell, flags=re.MULTILINE), names)
    form = inspect.signature(getattr(shown_by, function))
    return [form.bind(*args, **more) for called, args, more in recorder.calls if called == function]


def test_all_that_show_something_are_functions_of_the_module():
    assert {name for name in SHOW if callable(getattr(shown_by, name, None))} == SHOW


def test_there_is_a_notebook_for_each_list_of_the_design():
    assert set(DESIGN) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_point_of_the_design_is_a_heading_and_something_is_shown_below_it(name):
    answered = [heading for heading, cells in _sections(name) if any(map(_shows, cells))]
    assert [point for point in DESIGN[name] if point not in answered] == []


def test_each_experiment_of_phase_2_is_answered_in_all_that_the_design_wants():
    parts: dict[str, list[str]] = {}
    for cell in _cells("04_phase2_analysis"):
        if found := re.match(r"(##+) (.+)", cell.source):
            parts.setdefault(found[2], []) if found[1] == "##" else parts[list(parts)[-1]].append(found[2])
    for experiment in DESIGN["04_phase2_analysis"][:5]:
        assert [point for point in EACH_EXPERIMENT if point not in parts[experiment]] == [], experiment


@pytest.mark.parametrize("name", NAMES)
def test_no_heading_stands_over_nothing(name):
    title, *rest = _sections(name)
    assert [heading for heading, cells in rest if not any(map(_shows, cells))] == []
    assert title[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_begins_with_its_question_and_hypotheses_and_ends_with_conclusions(name):
    first, second, *_ = _cells(name)
    assert first.source.startswith("# ")
    assert "**Question" in first.source and "**Hypothes" in first.source
    assert f'nb.start("{name}")' in second.source
    assert re.search(r"[Cc]onclusions", [heading for heading, _ in _sections(name)][-1]) or name == "04_phase2_analysis"


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_short_and_hold_nothing_but_imports_calls_and_assignments(name):
    for cell in _cells(name):
        if cell.cell_type != "code":
            continue
        lines = cell.source.splitlines()
        assert len(lines) <= 12, cell.source
        for statement in ast.parse(cell.source).body:
            assert isinstance(statement, (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)), ast.unparse(statement)
        logic = (ast.Lambda, ast.comprehension, ast.IfExp, ast.BoolOp, ast.Compare, ast.Attribute)
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, logic)]
        # the only attributes are functions of the one module that is imported
        wrong = [node for node in found if not (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "nb")]
        assert not wrong, [ast.unparse(node) for node in wrong]
        imported = [line for line in lines if "import" in line]
        assert imported in ([], ["from deepfake.reports import notebook as nb"])


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_their_columns_are_known(name):
    """A name that no table has would be taken for a study that was not run."""
    for call in _calls(name, "table"):
        schema, _ = find(call.arguments["name"])
        asked = [*(call.arguments.get("columns") or []), *(call.arguments.get("rows") or {})]
        asked += call.arguments.get("largest", [])[:1]
        unknown = [column for column in asked if column != "auc_*" and not schema.kind(column)]
        assert not unknown, call.arguments["name"]
    for call in _calls(name, "spread"):
        assert all(metric == "auc_*" or RESULTS["*_folds"].kind(metric) for metric in call.arguments["metrics"])


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_among_the_committed_results(name):
    """A name that no study draws would be taken for a figure that this preset does not make."""
    named = {call.arguments["name"] for call in _calls(name, "figure")} - OF_OTHER_PRESETS
    with Project(ROOT).entered():
        assert sorted(figure for figure in named if not paths().figure(figure).exists()) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_has_a_caption_that_says_what_it_is(name):
    for function in ("table", "spread", "figure", "photograph"):
        for call in _calls(name, function):
            assert len(call.arguments["caption"]) > 4


@pytest.mark.parametrize("name", NAMES)
def test_a_conclusion_has_a_sentence_for_every_verdict_that_its_question_may_get(name):
    """Each question has one of these sets of verdicts; `otherwise` stands for those that are not named."""
    kinds = [
        {"better", "worse", "equivalent", "undecided"},
        {"shortcut", "no_shortcut", "undecided"},
        {"holds", "fails"},
    ]
    for call in _calls(name, "conclude"):
        sentences = set(call.arguments["sentences"])
        assert "otherwise" in sentences or any(kind <= sentences for kind in kinds), call.arguments

"""Every stage of dvc.yaml, one after the other, on a tiny project: what each one leaves is what it declares."""

import re
import shutil
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from conftest import ROOT, make_project, paths, stages, write_tiny_away, write_tiny_faces
from deepfake import cli, config, layout

pytestmark = pytest.mark.slow

NOT_DECLARED = re.compile(r"\.scratch/|data/[^/]+/cache/|runs/[^/]+/provenance\.json$")
"""What can be made again, or changes with every run."""


def small_params() -> dict:
    """Return the committed params with all experiments, phases and tables, but sizes and models that take a second."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["presets"]["quick"] |= {
        "folds": 2,
        "epochs": {"short": 1, "long": 1},
        "top": 1,
        "resolution": {"low": 32, "high": 40},
        "fraction": {"small": 0.6, "medium": 0.8, "all": 1.0},
    }
    values["shared"]["precision"] = "fp32"
    values["evaluation"]["bootstrap_replicates"] = 100
    for kind in ("experiments", "transfers", "finetunings", "candidates"):
        for entry in values[kind].values():
            # names of stages and tables stay, and no two configurations become the same
            entry |= {"optimizer": {"weight_decay": 1e-4 * len(entry["model"])}, "model": "simple_cnn"}
            entry.pop("pretrained", None)
    return values


def order(found: dict[str, dict]) -> list[str]:
    """Return the stages in an order in which each finds its deps, as DVC would run them."""
    maker = {path: name for name, stage in found.items() for path in paths(stage, "outs", "metrics")}

    def makers(path: str) -> set[str]:
        return {name for out, name in maker.items() if path == out or path.startswith(f"{out}/")}

    graph = {name: set().union(*map(makers, paths(stage, "deps"))) - {name} for name, stage in found.items()}
    return list(TopologicalSorter(graph).static_order())


def files() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}


def test_every_stage_leaves_what_it_declares_and_nothing_else(
    tmp_path, monkeypatch, tiny_raw, imported_before_the_fork
):
    root = make_project(tmp_path / "project", tiny_raw)
    write_tiny_away(root)
    shutil.copytree(ROOT / layout.FOREIGN, root / layout.FOREIGN)
    values = small_params()
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    monkeypatch.chdir(root)
    found = stages(values)
    trained = 0
    for name in order(found):
        if name.split("@")[0] in ("sample", "sample_away"):  # the raw data of this project is there
            continue
        before = files()
        if name == "faces":  # what it finds is tested with images that show some
            write_tiny_faces()
        else:
            result = CliRunner().invoke(cli.main, found[name]["cmd"].split()[1:])
            assert result.exit_code == 0, f"{name}: {result.output}"
            trained += result.stderr.count("fold 0,")
        changed = {path for path, time in files().items() if before.get(path) != time}
        declared = paths(found[name], "outs", "metrics")
        strange = {
            path
            for path in changed
            if not NOT_DECLARED.match(path) and not any(path == out or path.startswith(f"{out}/") for out in declared)
        }
        assert not strange, f"{name} leaves what it does not declare"
        # the stages of dvc.yaml name the committed models, of which this project has one
        missing = {path for path in declared if not Path(path).exists() and not path.startswith("data/pretrained")}
        assert not missing, f"{name} declares what it does not leave"
    assert trained == distinct()
    for page in layout.REPORTS.glob("*.md"):
        for link in re.findall(r"\]\(((?:figures|tables)/[^)]+|\w+\.md)\)", page.read_text()):
            assert link.startswith("figures/sample") or (layout.REPORTS / link).exists(), f"{page}: {link}"


def distinct() -> int:
    """Return how many different configurations the study has, chosen candidates' larger fractions among them."""
    settings = config.load()
    names = config.fixed_experiments(settings)
    for candidate in settings.candidates:
        scales = ("_best", "_best_medium", "_best_all") if config.read_gate(candidate).open else ("_best",)
        names += [f"{candidate}{scale}" for scale in scales]
    configurations = {config.resolve(settings, name).model_dump_json(exclude={"experiment"}) for name in names}
    # the name of a view is part of a configuration, and here none shows the same as another
    assert len(configurations) < len(names), "the check itself: nothing trains once for two names"
    return len(configurations)

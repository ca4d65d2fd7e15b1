"""The command line: one clear line and exit code 2 for what the user can mend, and nothing heavy at start."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, changed, write_tiny_faces
from deepfake import cli, tables
from deepfake.project import paths


def fails(runner, *command: str) -> str:
    """Run a command that must fail for the user; return its one line."""
    result = runner.invoke(cli.main, list(command))
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def edit(**changes):
    """Change values of the project's params.yaml, by dotted path with __ for the dot."""
    values = yaml.safe_load(paths().params.read_text())
    values = changed(values, {path.replace("__", "."): value for path, value in changes.items()})
    paths().params.write_text(yaml.safe_dump(values, sort_keys=False))


def files() -> set[str]:
    """Return all files but the store's locks, which hold nothing and stay."""
    return {str(path) for path in Path().rglob("*") if path.is_file() and path.suffix != ".lock"}


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys, deepfake.cli\n"
        f"try:\n    deepfake.cli.main({arguments})\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'timm', 'pandas', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'cv2', 'pydantic', 'dvc',"
        " 'ray', 'nvidia'}\n"
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


def test_every_stage_calls_a_command_that_is_there():
    committed = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    called = {stage.get("do", stage)["cmd"].split()[1] for stage in committed.values()}
    assert called <= set(cli.main.commands)


def test_unknown_names_are_told_with_the_nearest(project, runner):
    assert "did you mean sample" in fails(runner, "ingest", "samples")
    assert "did you mean simple_cnn_low" in fails(runner, "train", "simple_cnn_lo")
    edit(preset="quik")
    assert "did you mean quick?" in fails(runner, "train", "custom")


def test_the_check_comes_before_any_work_and_counts_the_runs(project, runner):
    result = runner.invoke(cli.main, ["check"])
    assert result.exit_code == 0
    # the custom run, six of params.yaml, and phase 3's only one on two larger shares of the data
    assert result.stdout == "params.yaml: preset quick, 9 runs\n"
    edit(dataset="smple")
    assert "did you mean sample?" in fails(runner, "check")
    edit(dataset="sample", studies__phase1__runs__backbone_low__view="crop_hihg")
    said = "params.yaml: studies.phase1.runs.backbone_low.view: unknown view 'crop_hihg'"
    for command in ("check", "faces sample", "views sample", "phase1", "train simple_cnn_low", "report"):
        assert said in fails(runner, *command.split()), command


def test_patches_that_do_not_divide_the_images_are_told_before_any_work(project, runner):
    edit(model="vit_tiny_patch16_224", presets__quick__resolution={"low": 100, "high": 128}, custom__pretrained=False)
    said = "model vit_tiny_patch16_224 cannot take images of 100 px (its patches of 16 px do not divide them)"
    said += "; use 96 or 112 px"
    assert fails(runner, "check") == f"deepfake: custom, run custom: {said}"
    for command in ("ingest sample", "split sample", "views sample"):
        assert runner.invoke(cli.main, command.split()).exit_code == 0
    before = sorted(Path().rglob("*"))
    assert fails(runner, "train", "custom") == f"deepfake: {said}"
    made = {path.parts[0] for path in set(Path().rglob("*")) - set(before)}
    assert made <= {".store"} and not list(Path(".store").glob("*.part/*"))
    edit(presets__quick__resolution={"low": 96, "high": 128})
    assert runner.invoke(cli.main, ["check"]).exit_code == 0


def test_a_data_set_that_is_not_there_says_how_to_obtain_it(project, runner):
    catalog = yaml.safe_load(paths().catalog.read_text())
    catalog["mine"] = catalog["sample"] | {"obtain": "ask the author"}
    paths().catalog.write_text(yaml.safe_dump(catalog))
    edit(dataset="mine")
    assert "ask the author" in fails(runner, "check")


def test_an_unknown_model_is_told_with_the_nearest_and_leaves_nothing(project, runner):
    runner.invoke(cli.main, ["ingest", "sample"])
    runner.invoke(cli.main, ["split", "sample"])
    runner.invoke(cli.main, ["views", "sample"])
    edit(model="mobilenetv3_smal_100")
    before = files()
    assert "mobilenetv3_small_100" in fails(runner, "train", "custom")
    assert files() == before


def test_a_typo_in_params_is_named_by_its_path(project, runner):
    edit(shared__epochz=3)
    line = fails(runner, "split", "sample")
    assert "shared.epochz" in line
    assert "shared.epochs" in line


def test_params_that_are_not_yaml(project, runner):
    paths().params.write_text("model: [")
    assert "not valid YAML" in fails(runner, "train", "custom")


def test_outside_a_project(tmp_path, monkeypatch, runner):
    monkeypatch.chdir(tmp_path)
    assert "run deepfake inside the project" in fails(runner, "train", "custom")


def test_a_command_works_from_a_folder_below(project, monkeypatch, runner):
    monkeypatch.chdir(project / "data")
    assert runner.invoke(cli.main, ["ingest", "sample"]).exit_code == 0
    assert (project / paths().samples("sample")).exists()


def test_missing_tables_say_what_to_run(project, runner):
    commands = ("split sample", "views sample", "conditions", "train simple_cnn_low", "phase1", "imbalance")
    for command in commands:
        assert "dvc repro" in fails(runner, *command.split()), command


def test_every_view_is_written_with_its_pixels_and_says_how_large_they_are(project, runner):
    runner.invoke(cli.main, ["ingest", "sample"])
    edit(views__face_low={"geometry": "crop", "face_crop": True, "resolution": "low"})
    failed = runner.invoke(cli.main, ["views", "sample"])
    assert (failed.exit_code, "faces.parquet: not found" in failed.stderr) == (2, True)
    write_tiny_faces()
    result = runner.invoke(cli.main, ["views", "sample"])
    assert result.exit_code == 0
    assert "decoding face_low: 0.00 GB for 144 samples of 32 x 32 x 3" in result.stderr
    assert result.stdout == "sample, face_low: 48 of 144 images have no face: their central square\n"
    for view in ("crop_low", "face_low"):
        assert paths().regions("sample", view).exists() and paths().view_facts("sample", view).exists()
    caches = {path.name.rsplit("-", 1)[0] for path in paths().cache("sample").iterdir()}
    assert caches == {"crop_low-32px", "face_low-32px"}
    # again: nothing is decoded, and nothing is said
    assert "decoding face_low:" not in runner.invoke(cli.main, ["views", "sample"]).stderr


def test_faces_are_looked_for_only_where_a_view_shows_them(project, runner):
    runner.invoke(cli.main, ["ingest", "sample"])
    result = runner.invoke(cli.main, ["faces", "sample"])
    assert result.stdout == "sample: no view in use cuts out faces, so none were looked for\n"
    assert paths().faces("sample").exists()


def test_a_disk_that_is_too_small_is_one_line(project, runner, monkeypatch):
    import shutil

    runner.invoke(cli.main, ["ingest", "sample"])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 0))
    result = runner.invoke(cli.main, ["views", "sample"])
    assert result.exit_code == 2
    assert "only 0.00 GB are free" in result.stderr.strip().splitlines()[-1]
    assert not list(paths().cache("sample").iterdir())


def test_raw_data_that_changed_since_the_ingest_is_told(project, runner):
    import shutil

    runner.invoke(cli.main, ["ingest", "sample"])
    shutil.copy(paths().raw("sample") / "wiki.zip", paths().raw("sample") / "insight.zip")
    result = runner.invoke(cli.main, ["views", "sample"])
    assert result.exit_code == 2
    assert "ingest the data set again" in result.stderr.strip().splitlines()[-1]


def test_a_manifest_with_a_missing_column_or_a_repeated_id(project, runner):
    import pandas as pd

    for command in ("ingest sample", "split sample", "views sample"):
        runner.invoke(cli.main, command.split())
    path = paths().manifest("sample")
    manifest = pd.read_parquet(path)
    manifest.drop(columns="group").to_parquet(path)
    assert "lacks column group" in fails(runner, "train", "simple_cnn_low")
    pd.concat([manifest, manifest.head(1)]).to_parquet(path)
    assert "more than once" in fails(runner, "train", "simple_cnn_low")


def test_too_few_groups_for_the_folds(project, runner):
    runner.invoke(cli.main, ["ingest", "sample"])
    edit(presets__quick__folds=20)
    assert "use fewer folds" in fails(runner, "split", "sample")
    assert not paths().manifest("sample").exists()


def test_missing_raw_data_says_how_to_obtain_it(project, runner):
    import shutil

    shutil.rmtree(paths().raw("sample"))
    assert "deepfake sample" in fails(runner, "ingest", "sample")


def test_no_permission_is_one_line_and_leaves_the_old_table(project, runner, monkeypatch):
    runner.invoke(cli.main, ["ingest", "sample"])
    before = paths().samples("sample").read_bytes()

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", "data/sample/samples.parquet")

    monkeypatch.setattr(tables.tempfile, "mkstemp", refuse)
    assert "Permission denied" in fails(runner, "ingest", "sample")
    assert paths().samples("sample").read_bytes() == before


def test_a_gpu_that_cannot_be_used_is_not_passed_over(project, runner, monkeypatch):
    from deepfake.ops.doctor import gpu

    seen = gpu.Seen(driver="535.104.05", given=True, names=("NVIDIA H100 (81559 MiB)",))
    monkeypatch.setattr(gpu, "look", lambda: seen)
    torch = {"version": "2.15.0", "cuda": "13.2", "devices": [], "gpu_error": "old"}
    monkeypatch.setitem(gpu.PROBES, "torch", lambda: torch)
    for command in (["ingest", "sample"], ["split", "sample"], ["views", "sample"]):
        runner.invoke(cli.main, command)
    line = fails(runner, "train", "custom")
    assert "driver 535.104.05 is too old for CUDA 13.2 of PyTorch 2.15.0; update the driver to 580 or newer" in line
    assert "to train on the CPU instead: export CUDA_VISIBLE_DEVICES=" in line

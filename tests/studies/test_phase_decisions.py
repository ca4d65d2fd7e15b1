"""What phases decide: the rules on planted tables, and on files of runs against scikit-learn."""

import json
import shutil

import pandas as pd
import pytest
import yaml

import synthetic_study
from conftest import ROOT
from deepfake import config, tables
from deepfake.config import Decision, read_finalists
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.phases import analysis, selection
from deepfake.tables import results
from repeated_predictions import between_auc, held_out

VIEWS = ["crop_low", "crop_high", "face_high"]
TESTED = ["phase2b", "phase2c", "phase2d", "phase2e"]
FULL = ["backbone", "simple_cnn"]


@pytest.fixture
def decide(tmp_path, monkeypatch):
    """Give a function that decides by planted gains, by table and model, of runs that are above chance or not."""

    monkeypatch.chdir(tmp_path)
    paths().catalog.parent.mkdir(parents=True)
    shutil.copy(ROOT / paths().catalog, paths().catalog)
    # the preset of the design has both models in all tables
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8")) | {"preset": "full"}
    paths().params.write_text(yaml.safe_dump(values))
    settings = config.load()

    def decided(gains: dict[str, float], at_chance: tuple[str, ...] = (), **severities: str):
        synthetic_study.write_probes(settings, **severities)
        names = {name for table in TESTED for name in config.table(settings, table)}
        write_rows({name: ("at_chance" if name in at_chance else "above_chance") for name in names})
        pairs = [
            (table, baseline, name)
            for table in TESTED
            for name, baselines in config.table(settings, table).items()
            for baseline in baselines
        ]
        write_tests([(*pair, gains.get(f"{pair[0]} {pair[2].removesuffix('_low')}", 0.0)) for pair in pairs])
        tables.write_text("{}", paths().study_metrics("phase2"))
        decision = selection.decide(settings)
        return decision, results.read("phase2_decision").set_index("factor")

    return decided


def write_rows(chances: dict[str, str]) -> None:
    """Write a table of runs of which nothing but the verdict against chance matters."""
    schema = results.find("phase2_experiments")[0].columns
    kinds = {"str": "x", "int": 1, "float": 0.5, "bool": False}
    row = {column: kinds[kind.removesuffix("?")] for column, kind in schema.items()}
    rows = pd.DataFrame([row | {"experiment": name, "chance": word} for name, word in chances.items()])
    results.write(rows, "phase2_experiments")


def write_tests(pairs: list[tuple[str, str, str, float]]) -> None:
    schema = results.find("phase2_tests")[0].columns
    kinds = {"str": "x", "int": 1, "float": 0.5}
    row = {column: kinds[kind.removesuffix("?")] for column, kind in schema.items()}
    keys = ("table", "baseline", "experiment", "difference")
    results.write(pd.DataFrame([row | dict(zip(keys, pair, strict=True)) for pair in pairs]), "phase2_tests")


def both(table: str, run: str, gain: float) -> dict[str, float]:
    return {f"{table} {model}_{run}": gain for model in FULL}


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ({}, ("low", False, "none")),
        (both("phase2b", "high", 0.021), ("high", False, "none")),
        # within the region of practical equivalence
        (both("phase2b", "high", 0.019), ("low", False, "none")),
        (both("phase2c", "face", 0.05), ("low", True, "none")),
        # a gain without the crop does not count when faces are cropped, and the other way round
        (both("phase2c", "face", 0.05) | both("phase2d", "augmented", 0.3), ("low", True, "none")),
        (both("phase2d", "augmented", 0.3), ("low", False, "full")),
        (both("phase2e", "face_augmented", 0.3), ("low", False, "none")),
        # what one model gains and the other loses is no gain
        ({"phase2b simple_cnn_high": 0.3, "phase2b backbone_high": -0.3}, ("low", False, "none")),
        ({"phase2b simple_cnn_high": 0.05, "phase2b backbone_high": 0.0}, ("high", False, "none")),
    ],
)
def test_what_gains_more_than_the_region_is_decided_for_and_nothing_else(decide, gains, expected):
    resolution, face_crop, augmentation = expected
    decision, _ = decide(gains)
    assert decision == Decision(resolution=resolution, face_crop=face_crop, augmentation=augmentation)
    assert json.loads(paths().decision.read_text()) == decision.model_dump()


def test_models_at_chance_on_both_sides_have_no_say(decide):
    gains = {"phase2b simple_cnn_high": -0.5, "phase2b backbone_high": 0.05}
    decision, evidence = decide(gains)
    assert (decision.resolution, evidence.loc["resolution", "models"]) == ("low", 2)
    decision, evidence = decide(gains, at_chance=("simple_cnn_low", "simple_cnn_high"))
    assert decision.resolution == "high"
    assert evidence.loc["resolution", ["models", "gain"]].tolist() == [1, 0.05]
    # one side above chance is enough
    assert decide(gains, at_chance=("simple_cnn_low",))[1].loc["resolution", "models"] == 2


def test_where_no_model_is_above_chance_the_simple_option_stays(decide):
    everything = tuple(f"{model}_{end}" for model in FULL for end in ("low", "high"))
    decision, evidence = decide(both("phase2b", "high", 0.5), at_chance=everything)
    assert decision.resolution == "low"
    assert evidence.loc["resolution", "models"] == 0 and pd.isna(evidence.loc["resolution", "gain"])


@pytest.mark.parametrize(
    ("severities", "chosen"),
    [
        ({}, True),
        ({"face_high": "moderate"}, True),
        ({"face_high": "severe"}, False),
        ({"face_high": "severe", "crop_high": "moderate"}, False),
        # it is no worse than what it is compared with
        ({"face_high": "severe", "crop_high": "severe"}, True),
    ],
)
def test_a_face_crop_is_refused_only_for_a_severe_framing_of_its_own(decide, severities, chosen):
    decision, evidence = decide(both("phase2c", "face", 0.3), **severities)
    row = evidence.loc["face_crop"]
    assert decision.face_crop is chosen
    assert row["gain"] == pytest.approx(0.3)
    assert pd.isna(row["refused"]) if chosen else row["refused"] == "face_high"
    # where the crop is refused, augmentation counts that goes without it
    assert evidence.loc["augmentation", "counts"] == (not chosen)
    assert evidence.loc["augmentation_of_faces", "counts"] == chosen


def test_what_gains_nothing_needs_no_refusal(decide):
    decision, evidence = decide({}, face_high="severe")
    assert not decision.face_crop and evidence["refused"].isna().all()


def test_a_resolution_is_refused_in_the_same_way(decide):
    decision, evidence = decide(both("phase2b", "high", 0.3), crop_high="severe")
    assert decision.resolution == "low" and evidence.loc["resolution", "refused"] == "crop_high"


# --- from the files of runs


def auc_of(name: str) -> float:
    manifest = pd.read_parquet(paths().manifest("sample"))[["sample_id", "label", "group"]]
    return between_auc(pd.read_parquet(paths().predictions(name)).merge(manifest, on="sample_id"))


def test_the_evidence_and_the_headline_are_those_of_the_held_out_folds(study):
    settings = study({"backbone_face": 2.0, "backbone_face_augmented": 2.0})
    analysis.run("phase2", settings)
    assert selection.decide(settings) == Decision(resolution="low", face_crop=True, augmentation="none")
    evidence = results.read("phase2_decision").set_index("factor")
    gain = auc_of("backbone_face") - auc_of("backbone_high")
    assert evidence.loc["face_crop", "gain"] == pytest.approx(gain, abs=1e-5)
    written = json.loads(paths().study_metrics("phase2").read_text())
    assert "best_auc" in written and len(written["runs"]) > 5


def test_samples_that_were_not_held_out_decide_nothing(study):
    settings = study({})
    analysis.run("phase2", settings)
    before, evidence = selection.decide(settings), paths().table("phase2_decision").read_bytes()
    for name in ("simple_cnn_high", "backbone_high"):
        table = tables.read(paths().predictions(name), tables.PREDICTIONS)
        table.loc[table["subset"] != "held_out", "logit"] *= -100
        tables.write(table, paths().predictions(name), tables.PREDICTIONS)
    analysis.run("phase2", settings)
    assert selection.decide(settings) == before
    assert paths().table("phase2_decision").read_bytes() == evidence


def test_no_run_but_the_final_model_sees_the_test_set(study):
    settings = study({})
    manifest = tables.read(paths().manifest(settings.dataset), tables.MANIFEST)
    unseen = set(manifest.loc[manifest["split"] == "test", "sample_id"])
    assert unseen
    for path in paths().runs.rglob("predictions.parquet"):
        assert not unseen & set(pd.read_parquet(path)["sample_id"])


def test_a_table_that_varies_two_things_at_once_is_refused(study):
    settings = study({}, studies__phase2__runs__simple_cnn_high__view="crop_low")
    analysis.run("phase2", settings)
    with pytest.raises(InputError, match=r"contrasts\.phase2b: .* differ in their resolution"):
        selection.decide(settings)


@pytest.mark.parametrize("missing", VIEWS)
def test_a_view_that_phase_2_may_decide_for_has_to_be_probed(study, missing):
    settings = study({}, studies__shortcuts__views=[view for view in VIEWS if view != missing])
    with pytest.raises(InputError, match=rf"studies\.shortcuts\.views: add {missing}, which phase 2 may decide for"):
        selection.decide(settings)


def test_without_probes_nothing_is_decided(study):
    settings = study({})
    rows = pd.read_csv(paths().table("probes"))
    tables.write_csv(rows[rows["subject"] != "face_high"], paths().table("probes"))
    with pytest.raises(InputError, match=r"nothing about the framing of face_high; run deepfake probe again"):
        selection.decide(settings)
    paths().table("probes").unlink()
    with pytest.raises(InputError, match=r"probes\.csv: not found; run deepfake probe"):
        selection.decide(settings)
    assert not paths().decision.exists()


BEST = {"simple_cnn_best": 0.2, "backbone_best": 2.0, "efficientnet_lite1_best": 1.0, "mobilenetv2_best": 0.5}


@pytest.fixture
def candidates(study):
    decision = Decision(resolution="low", face_crop=False, augmentation="none")
    tables.write_text(decision.model_dump_json(), paths().decision)
    settings = study(BEST, candidates=True)
    analysis.run("phase3", settings)
    return settings


def test_the_best_go_on(candidates):
    best = selection.rank(candidates)
    # in the order of params.yaml
    assert read_finalists() == ("backbone_best", "efficientnet_lite1_best")
    assert set(best) == set(read_finalists())
    ranking = results.read("phase3_ranking")
    assert ranking["rank"].tolist() == [1, 2, 3, 4]
    assert ranking.loc[ranking["chosen"], "candidate"].tolist() == best
    for _, row in ranking.iterrows():
        assert row["auc"] == pytest.approx(auc_of(row["candidate"]), abs=1e-5)


def test_ranked_and_final_models_follow_the_rule_of_ties(candidates):
    rows = results.read("phase3_experiments").set_index("experiment", drop=False)
    rows.loc[list(BEST), "auc"] = [0.6, 0.9, 0.885, 0.87]
    rows.loc[list(BEST), "parameters"] = [1, 40, 30, 20]
    results.write(rows, "phase3_experiments")
    assert selection.rank(candidates) == ["efficientnet_lite1_best", "backbone_best"]
    results.write(rows[rows["experiment"] != "efficientnet_lite1_best"], "phase4b_experiments")
    assert selection.final(candidates) == "backbone_best" == config.read_final()


def test_an_exchange_of_ranks_among_the_best_changes_no_finalist(candidates):
    before, chosen = selection.rank(candidates), paths().finalists.read_bytes()
    first, second = (paths().predictions(name) for name in before)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    analysis.run("phase3", candidates)
    assert selection.rank(candidates) == before[::-1]
    assert paths().finalists.read_bytes() == chosen


def test_more_than_are_ranked_cannot_go_on(candidates):
    preset = candidates.presets["quick"].model_copy(update={"top": 9})
    more = candidates.model_copy(update={"presets": candidates.presets | {"quick": preset}})
    with pytest.raises(InputError, match="9 candidates are to be chosen, but only 4 are ranked"):
        selection.rank(more)


def test_held_out_samples_are_those_of_the_development_groups(candidates):
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    predictions = pd.read_parquet(paths().predictions("backbone_best"))
    development = set(manifest.loc[manifest["split"] == "dev", "sample_id"])
    assert set(held_out(predictions)["sample_id"]) == development

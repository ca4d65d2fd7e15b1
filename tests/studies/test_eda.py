"""The study of the data, against figures computed by hand with NumPy, scikit-learn and sets."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from markdown_it import MarkdownIt
from sklearn.tree import DecisionTreeClassifier

from conftest import ROOT, tiny_params
from deepfake import cli, config, tables
from deepfake.datasets import splits
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths
from deepfake.reports import findings as stored
from deepfake.studies.eda import analysis, distributions, figures, framing, normalization, page, samples
from deepfake.tables import results

SOURCES = {"camera": 0, "a": 1, "b": 1}
GROUPS, PER_GROUP = 12, 3


def catalog(*names: str) -> None:
    """Write the catalog with more data sets, which are like the sample."""
    known = yaml.safe_load((ROOT / "data/catalog.yaml").read_text("utf-8"))
    known |= dict.fromkeys(names, known["sample"])
    paths().catalog.parent.mkdir(parents=True, exist_ok=True)
    paths().catalog.write_text(yaml.safe_dump(known))


def write(name: str = "sample", sources: dict[str, int] = SOURCES, faces: bool = True, seed: int = 0) -> pd.DataFrame:
    """Write what ingest, split, features and faces leave of a data set, and return its manifest.

    Fakes are wider, of one height with reals, and brighter by nothing; a face is found in all but every tenth image.
    """
    rng = np.random.default_rng(seed)
    rows = [
        {"source": source, "label": label, "group": f"g{group:02d}", "sample_id": f"{source}/{group:02d}_{number}"}
        for source, label in sources.items()
        for group in range(GROUPS)
        for number in range(PER_GROUP)
    ]
    made = pd.DataFrame(rows)
    made = made.assign(clip_id=made["sample_id"], archive="", path=made["sample_id"], dataset=name, modality="image")
    made = made.assign(bytes=rng.integers(1000, 9000, len(made)), published="")
    made["sha256"] = [f"{number:064x}" for number in range(len(made))]
    tables.write(made, paths().samples(name), tables.SAMPLES)
    manifest = splits.split(made, folds=2, test_ratio=0.2, seed=1, repeats=2)
    tables.write(manifest, paths().manifest(name), tables.MANIFEST)
    measured = pd.DataFrame(0.0, index=made.index, columns=list(tables.FEATURES.columns))
    measured = measured.assign(sample_id=made["sample_id"], sha256=made["sha256"], bytes=made["bytes"])
    measured["width"] = np.where(made["label"] == 1, 64, 48)
    measured["height"], measured["mode"], measured["subsampling"] = 48, "RGB", "none"
    measured["aspect"] = measured["width"] / measured["height"]
    measured["format"] = np.where(made.index % 5 == 0, "PNG", "JPEG")
    measured["quality"] = np.where(measured["format"] == "JPEG", rng.integers(50, 99, len(made)), 0)
    for channel in "rgb":
        measured[f"mean_{channel}"] = rng.normal(120, 20, len(made))
        measured[f"std_{channel}"] = rng.normal(40, 5, len(made))
    measured["saturation"] = np.where(made.index % 4 == 0, 0, 9.0)
    measured["bytes_per_pixel"] = measured["bytes"] / (measured["width"] * measured["height"])
    integers = {column: int for column, kind in tables.FEATURES.columns.items() if kind == "int"}
    tables.write(measured.astype(integers), paths().features(name), tables.FEATURES)
    media = measured[["sample_id", "width", "height", "format", "mode"]].astype({"width": int, "height": int})
    tables.write(media.assign(fingerprint="", notes=""), paths().media(name), tables.MEDIA)
    if faces:
        found = pd.DataFrame(0.0, index=made.index, columns=list(tables.FACES.columns))
        found = found.assign(sample_id=made["sample_id"], faces=np.where(made.index % 10 == 0, 0, 1 + made.index % 2))
        seen = found["faces"] > 0
        found.loc[seen, ["confidence", "left", "top", "right", "bottom"]] = 0.99, -6.0, 12.0, 24.0, 36.0
        tables.write(found.sample(frac=1, random_state=0), paths().faces(name), tables.FACES)
    columns = {
        "quarantine": ["path", "reason"],
        "duplicates": ["sha256", "samples", "groups", "both_labels"],
        "near_duplicates": ["sample", "other", "group", "other_group", "distance", "mirrored"],
    }
    for part, names in columns.items():
        tables.write_csv(pd.DataFrame(columns=names), getattr(paths(), part)(name))
    return manifest


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The settings of a project that holds tables of one data set, and no image."""
    monkeypatch.chdir(tmp_path)
    paths().params.write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    catalog("mine")
    write()
    return config.load()


def by(rows: pd.DataFrame, *keys: str) -> dict[Any, dict[Any, Any]]:
    """Return the rows of a table by what stands in one column, or in several."""
    names = [tuple(row[key] for key in keys) for row in rows.to_dict("records")]
    return {name if len(keys) > 1 else name[0]: row for name, row in zip(names, rows.to_dict("records"), strict=True)}


def run(settings, *names: str, name: str = "eda") -> analysis.Outcome:
    return analysis.run(settings, names or ("sample",), name=name, threads=1)


def test_distributions_are_those_of_numpy(settings):
    rows = distributions.distributions([samples.read("sample")], distributions.SIZES | distributions.COLOURS)
    features = tables.read(paths().features("sample"), tables.FEATURES)
    mine = features[features["sample_id"].str.startswith("b/")]
    found = by(rows[rows["source"] == "b"], "measure")
    for measure in ("bytes_per_pixel", "mean_g", "aspect"):
        values = mine[measure].to_numpy()
        expected = [values.mean(), values.std(ddof=1), *np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])]
        names = ["mean", "sd", "min", "q05", "q25", "median", "q75", "q95", "max"]
        assert [found[measure][name] for name in names] == pytest.approx(expected)
    # the quality of what is no JPEG is none
    jpegs = mine.loc[mine["format"] == "JPEG", "quality"]
    assert found["quality"]["samples"] == len(jpegs) < len(mine)
    assert found["quality"]["median"] == np.median(jpegs)
    luma = mine[["mean_r", "mean_g", "mean_b"]].to_numpy() @ [0.299, 0.587, 0.114]
    assert found["brightness"]["median"] == pytest.approx(np.median(luma))
    assert found["contrast"]["mean"] == pytest.approx(mine[["std_r", "std_g", "std_b"]].to_numpy().mean())
    assert found["gray"]["mean"] == pytest.approx((mine["saturation"] == 0).mean())


def test_counts_are_those_of_the_manifest(settings):
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    outcome = run(settings)
    counted = Counter(zip(manifest["source"], manifest["split"], strict=True))
    rows = outcome.tables["sources"]
    assert dict(zip(zip(rows["source"], rows["split"], strict=True), rows["samples"], strict=True)) == counted
    (row,) = outcome.tables["summary"].to_dict("records")
    assert (row["samples"], row["groups"], row["reals"], row["fakes"], row["sources"]) == (108, 12, 36, 72, 3)
    assert row["share_fake"] == pytest.approx(2 / 3)
    assert (row["smallest_group"], row["largest_group"]) == (9, 9)
    assert row["formats"] == f"JPEG {108 - 22}, PNG 22"
    assert row["test_groups"] == manifest.loc[manifest["split"] == "test", "group"].nunique()


def test_what_differs_is_told_from_what_does_not(settings):
    rows = by(run(settings).tables["differences"], "name")
    assert rows["width"]["verdict"] == "shortcut" and rows["width"]["auc"] == 1
    assert rows["height"]["verdict"] == "no_shortcut"
    assert all(rows[name]["verdict"] != "shortcut" for name in ("mean_r", "quality", "brightness"))
    assert {row["judged_by"] for row in rows.values()} == {"eda"}
    found = stored.read("eda")
    assert found["sizes.geometry.sample"].answer == "yes" and found["sizes.geometry.sample"].key
    assert found["colours.brightness.sample"].answer in ("no", "undecided")
    development = tables.read(paths().manifest("sample"), tables.MANIFEST).query("split == 'dev'")
    assert found["sizes.geometry.sample"].n_samples == len(development)


def test_an_auc_is_that_of_a_tree_on_other_groups(settings):
    """Folds are averaged, and pairs of one group do not count; the tree's settings are those of the probes."""
    rows = by(run(settings).tables["differences"], "name")
    data = samples.read("sample").rows.query("split == 'dev'")
    aucs = []
    for fold in (0, 1):
        training, held_out = (data[(data["fold"] == fold) == part] for part in (False, True))
        leaf = max(5, round(0.01 * len(training)))
        tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=leaf, random_state=0)
        tree.fit(training[["contrast"]].to_numpy(), training["label"])
        values = held_out[["contrast"]].to_numpy()
        size = tree.tree_.n_node_samples[tree.apply(values)]
        scored = held_out.assign(score=(np.asarray(tree.predict_proba(values))[:, 1] * size + 1) / (size + 2))
        pairs = scored[scored["label"] == 1].merge(scored[scored["label"] == 0], how="cross", suffixes=("", "_real"))
        pairs = pairs[pairs["group"] != pairs["group_real"]]
        apart = (pairs["score"] - pairs["score_real"]).round(12)
        aucs.append(((apart > 0) + 0.5 * (apart == 0)).mean())
    assert rows["contrast"]["auc"] == pytest.approx(np.mean(aucs))


def test_what_was_probed_is_not_judged_again(settings):
    judged = {"subject": "files", "level": "feature", "name": "width", "family": "geometry", "nature": "container"}
    figures_ = {"auc": 0.777, "auc_low": 0.7, "auc_high": 0.8, "p": 0.01, "p_holm": 0.02, "severity": "moderate"}
    row = judged | figures_ | {"verdict": "shortcut", "reason": ""}
    others = [{"name": "noise", "family": "sharpness"}, {"subject": "crop_low"}, {"level": "all", "name": "all"}]
    probed = pd.DataFrame([row, *(row | other for other in others)])
    results.write(probed.assign(boosting_auc=np.nan, logistic_auc=np.nan), "probes")
    rows = run(settings).tables["differences"]
    assert rows.loc[rows["judged_by"] == "probe", ["name", "auc", "p_holm"]].to_numpy().tolist() == [
        ["width", 0.777, 0.02]
    ]
    assert not rows["name"].isin(["mean_r", "geometry", "noise"]).any()
    assert {"brightness", "contrast", "face_found"} <= set(rows["name"])


def test_sound_splits_share_nothing(settings):
    outcome = run(settings)
    rows = outcome.tables["splits"]
    assert len(rows) == 2 * 2 * 4 and (rows[["shared_groups", "shared_files"]] == 0).all(axis=None)
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    for fold, parts in rows.groupby("fold"):
        assert parts["samples"].sum() == len(manifest)
        held_out = np.array([str(fold) in folds.split() for folds in manifest["folds"]])
        row = by(parts, "part")["held_out"]
        assert row["samples"] == held_out.sum() and row["share_fake"] == manifest.loc[held_out, "label"].mean()
        mine = manifest.loc[held_out, "source"].value_counts(normalize=True)
        every = manifest["source"].value_counts(normalize=True)
        assert row["source_gap"] == pytest.approx((mine - every).abs().max())
    assert outcome.found["splits.groups.sample"].verdict == "holds"
    assert outcome.found["splits.balance.sample"].verdict == "holds"


@pytest.mark.parametrize("column", ["group", "sha256"])
def test_a_planted_overlap_is_found(settings, column):
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    test, first = (manifest.index[manifest["fold"] == fold][0] for fold in (-1, 0))
    manifest.loc[test, column] = manifest.loc[first, column]
    tables.write(manifest, paths().manifest("sample"), tables.MANIFEST)
    features = tables.read(paths().features("sample"), tables.FEATURES).assign(sha256=manifest["sha256"])
    tables.write(features, paths().features("sample"), tables.FEATURES)
    outcome = run(settings)
    shared = "shared_groups" if column == "group" else "shared_files"
    rows = outcome.tables["splits"]
    assert (rows.loc[rows["part"] == "test", shared] == 1).all()
    # in each fold it is one part of the three that has it, too
    assert (rows.loc[rows["part"] != "test"].groupby("fold")[shared].sum() == 1).all()
    assert (rows[{"shared_groups": "shared_files", "shared_files": "shared_groups"}[shared]] == 0).all()
    found = outcome.found["splits.groups.sample"]
    assert ((found.verdict, found.answer) == ("fails", "no") and "Up to 1" in found.note) or "and 1 files" in found.note
    assert outcome.found["quality.sample"].verdict == "fails"
    failed = outcome.tables["quality"].query("outcome == 'failed'")["check"].tolist()
    assert failed == [f"{'groups' if column == 'group' else 'files'} that a part of a fold shares with another"]


def test_unequal_folds_are_found(settings):
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    lost = manifest.index[(manifest["fold"] == 0) & (manifest["source"] == "a")]
    manifest = manifest.drop(index=lost).reset_index(drop=True)
    tables.write(manifest, paths().manifest("sample"), tables.MANIFEST)
    features = tables.read(paths().features("sample"), tables.FEATURES)
    tables.write(features.drop(index=lost), paths().features("sample"), tables.FEATURES)
    found = run(settings).found["splits.balance.sample"]
    numbers = manifest["folds"].str.split().explode()
    shares = manifest["label"].loc[numbers.index].groupby(numbers.to_numpy()).mean()  # -1: the test set
    assert sorted(shares.index) == ["-1", "0", "1", "2", "3"]
    assert found.verdict == "fails" and found.effect == pytest.approx(shares.max() - shares.min()) and shares["0"] < 0.6


def test_quality_checks_count_what_there_is(settings):
    tables.write_csv(pd.DataFrame({"path": ["x", "y"], "reason": "empty"}), paths().quarantine("sample"))
    both = {"sha256": ["1", "2"], "samples": "a | b", "groups": "g | h", "both_labels": [1, 0]}
    tables.write_csv(pd.DataFrame(both), paths().duplicates("sample"))
    media = tables.read(paths().media("sample"), tables.MEDIA)
    media.loc[3, "notes"] = "broken EXIF"
    tables.write(media, paths().media("sample"), tables.MEDIA)
    rows = by(run(settings).tables["quality"], "check")
    found = {check: (row["value"], row["outcome"]) for check, row in rows.items()}
    assert found["files refused"] == (2, "caution") and rows["files refused"]["of"] == 110
    assert found["files labelled real and fake"] == (1, "failed")
    assert found["files in several groups"] == (2, "caution")
    assert found["files with something odd"] == (1, "caution")
    assert found["images with a side under 40 px"] == (0, "passed")
    assert found["share of images without a face"] == (pytest.approx(11 / 108), "caution")
    assert found["share of the minority class, at least"] == (pytest.approx(1 / 3), "passed")
    # 12 groups: 2 for the test set, 5 a fold
    assert found["groups in the smallest fold or test set, at least"] == (2, "caution")


def test_faces_are_counted_by_source(settings):
    rows = by(distributions.faces([samples.read("sample")], 0.95), "source")
    every = tables.read(paths().faces("sample"), tables.FACES)
    mine = every[every["sample_id"].str.startswith("a/")]
    assert rows["a"]["found"] == (mine["faces"] > 0).sum()
    assert rows["a"]["share"] == pytest.approx((mine["faces"] > 0).mean())
    assert rows["a"]["low"] < rows["a"]["share"] < rows["a"]["high"] < 1
    assert rows["a"]["several"] == (mine["faces"] > 1).sum()
    assert rows["a"]["faces_per_image"] == pytest.approx(mine["faces"].mean())
    # the box (-6, 12, 24, 36) of an image of 64 x 48, as far as it is inside
    assert rows["a"]["box_median"] == pytest.approx(24 * 24 / (64 * 48))
    assert rows["camera"]["box_median"] == pytest.approx(24 * 24 / (48 * 48))


def test_faces_that_were_not_looked_for_are_not_judged(settings):
    write("mine", faces=False)
    outcome = run(settings, "mine", name="own_mine_eda")
    assert not len(outcome.tables["faces"]) and not outcome.found.below("faces")
    assert by(outcome.tables["quality"], "check")["share of images without a face"]["outcome"] == "not_checked"
    page.write(outcome, settings)
    assert "Not looked for" in paths().page("own_mine_eda").read_text("utf-8")
    assert not paths().page("eda").exists()


@pytest.fixture
def pixels(settings, monkeypatch, tmp_path):
    """Random pixels as the view of the tiny runs; the regions are the central squares, of fakes half beyond them."""
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(manifest), 8, 8, 3)).astype(np.uint8)
    images[:, :, :, 1] //= 2
    np.save(tmp_path / "pixels.npy", images)
    monkeypatch.setattr(views, "pixels", lambda *_, **__: tmp_path / "pixels.npy")
    fake = (manifest["label"] == 1).to_numpy()
    regions = pd.DataFrame({"sample_id": manifest["sample_id"], "left": 0, "top": np.where(fake, -24, 0)})
    regions = regions.assign(right=48, bottom=np.where(fake, 24, 48), face=0, plain=1)
    tables.write(regions, paths().regions("sample", "crop_low"), tables.REGIONS)
    return images


def test_zscores_are_those_of_the_pixels(settings, pixels):
    values = yaml.safe_load(paths().params.read_text("utf-8"))
    values["studies"]["phase2"]["runs"]["simple_cnn_high"]["normalization"] = "real_training"
    paths().params.write_text(yaml.safe_dump(values, sort_keys=False))
    settings = config.load()
    found = normalization.measure(settings, "sample", threads=1)
    assert found is not None and found.fraction == 1
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    labels, sources = manifest["label"].to_numpy(), manifest["source"].to_numpy()
    scale = pixels / 255
    means, spreads = {"camera": [], "a": []}, {"camera": [], "a": []}
    for fold in (0, 1):
        parts = splits.subsets(manifest, fold, fraction=1.0, val_ratio=0.2, seed=42).reindex(manifest.index).to_numpy()
        reals = scale[(parts == "train") & (labels == 0)]
        mean, std = reals.mean(axis=(0, 1, 2)), reals.std(axis=(0, 1, 2))
        row = by(found.statistics, "statistics", "fold")[(normalization.REAL_TRAINING, fold)]
        assert [row[f"mean_{channel}"] for channel in "rgb"] == pytest.approx(mean.tolist())
        assert [row[f"std_{channel}"] for channel in "rgb"] == pytest.approx(std.tolist())
        assert row["images"] == len(reals)
        for source in means:
            z = (scale[(parts == "held_out") & (sources == source)] - mean) / std
            means[source] += z.mean(axis=(1, 2, 3)).tolist()
            spreads[source].append(z)
    rows = by(found.zscores, "statistics", "source")
    for source, each in means.items():
        row = rows[(normalization.REAL_TRAINING, source)]
        assert row["z"] == pytest.approx(np.mean(each)) and row["low"] < row["z"] < row["high"]
        assert row["sd"] == pytest.approx(np.concatenate(spreads[source]).std())
    imagenet = (scale[(labels == 0) & (manifest["split"] == "dev")] - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert rows[("ImageNet", "camera")]["z"] == pytest.approx(imagenet.mean())


def test_real_training_statistics_see_no_fake_and_no_held_out_image(settings, pixels, tmp_path):
    before = normalization.measure(settings, "sample", threads=1)
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    parts = splits.subsets(manifest, 0, fraction=1.0, val_ratio=0.2, seed=42).reindex(manifest.index).to_numpy()
    changed = pixels.copy()
    changed[(parts != "train") | (manifest["label"] == 1).to_numpy()] = 0
    np.save(tmp_path / "pixels.npy", changed)
    after = normalization.measure(settings, "sample", threads=1)
    assert before is not None and after is not None
    first, second = (
        found.statistics.query("statistics == @normalization.REAL_TRAINING and fold == 0") for found in (before, after)
    )
    pd.testing.assert_frame_equal(first, second)


def test_whether_real_images_are_standardised_is_judged(settings, pixels):
    found = run(settings).found
    # green is half as bright as ImageNet's
    assert [found[f"normalization.{place}"].verdict for place in (0, 1)] == ["fails", "holds"]
    first, second = (found[f"normalization.{place}"].effect for place in (0, 1))
    assert first is not None and second is not None and first < -0.1 and abs(second) < 0.05


def test_views_show_what_regions_say(settings, pixels):
    rows = by(framing.views(samples.read("sample"), settings), "label")
    shown = {label: [row[figure] for figure in ("shown", "black", "scale")] for label, row in rows.items()}
    # reals are 48 x 48; fakes 64 x 48, of which the lower half of a square of 48 px is the image's
    assert shown[0] == pytest.approx([1, 0, 48 / 32])
    assert shown[1] == pytest.approx([48 * 24 / (64 * 48), 0.5, 48 / 32])


class _Page(HTMLParser):
    """Collects the tags of a page, the cells of its tables, and how many each row has."""

    def __init__(self):
        super().__init__()
        self.tags, self.tables, self.cells = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(0)
        if tag in ("td", "th"):
            self.tables[-1][-1] += 1
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] = (self.cells[-1] + data).strip()


@pytest.mark.filterwarnings("error")
def test_strange_names_of_two_hundred_sources_are_text(settings, pixels):
    strange = ["<script>alert(1)</script>", "a|b", "$x_$", "`code`", "**bold**", "مرحبا", "x" * 90]
    sources = {"camera": 0} | dict.fromkeys(strange, 1) | {f"s{number:03d}": 1 for number in range(192)}
    write("mine", sources)
    outcome = run(settings, "mine", name="own_mine_eda")
    page.write(outcome, settings)
    text = paths().page("own_mine_eda").read_text("utf-8")
    assert (
        "Figures show the 12 largest of 200 sources" in text and len(figures.largest(outcome.tables["sources"])) == 12
    )
    shown = _Page()
    shown.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert "script" not in shown.tags
    assert {"`code`", "**bold**"} <= set(shown.cells)
    # a | in a name makes no cell more
    assert all(len(set(rows)) == 1 for rows in shown.tables)
    assert "a|b" in shown.cells and "مرحبا" in shown.cells and "<script>alert(1)</script>" in shown.cells
    assert all(paths().figure(f"own_mine_eda_{name}").exists() for name in ("sizes", "colours", "sources", "splits"))
    assert len(pd.read_csv(paths().table("own_mine_eda_sources"))["source"].unique()) == 200


def test_made_again_it_is_the_same(settings, pixels):
    written = []
    for _ in range(2):
        page.write(run(settings), settings)
        files = sorted(path for path in paths().reports.rglob("*") if path.is_file())
        written.append({path: path.read_bytes() for path in files})
    assert written[0] == written[1] and len(written[0]) >= 11 + 6 + 2


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("media", "media.parquet: not found; run deepfake ingest sample, then deepfake eda sample"),
        ("manifest", "manifest.parquet: not found; run deepfake split sample, then deepfake eda sample"),
        ("features", "features.parquet: not found; run deepfake features sample, then deepfake eda sample"),
        ("quarantine", "quarantine.csv: not found, or empty; run deepfake ingest sample"),
    ],
)
def test_a_data_set_that_is_not_ready_is_one_line(settings, gone, message):
    getattr(paths(), gone)("sample").unlink()
    found = CliRunner().invoke(cli.main, ["eda"])
    assert found.exit_code == 2 and message in found.output and len(found.output.strip().splitlines()) == 1
    assert not paths().reports.exists()


def test_unknown_data_sets_and_other_features_are_refused(settings):
    with pytest.raises(InputError, match="unknown data set 'nothing'"):
        samples.read("nothing")
    features = tables.read(paths().features("sample"), tables.FEATURES)
    tables.write(features.iloc[::-1], paths().features("sample"), tables.FEATURES)
    with pytest.raises(InputError, match="not of the files in the manifest; run deepfake features sample"):
        samples.read("sample")
    write()
    faces = tables.read(paths().faces("sample"), tables.FACES)
    tables.write(faces.iloc[1:], paths().faces("sample"), tables.FACES)
    with pytest.raises(InputError, match="faces were not looked for in all samples; run deepfake faces sample again"):
        samples.read("sample")


def test_a_view_of_other_samples_is_refused(settings, pixels):
    regions = tables.read(paths().regions("sample", "crop_low"), tables.REGIONS)
    tables.write(regions.iloc[::-1], paths().regions("sample", "crop_low"), tables.REGIONS)
    with pytest.raises(InputError, match="not of the samples in the manifest; run deepfake views sample"):
        run(settings)
    assert not paths().reports.exists()


def test_the_command_writes_a_page_whose_links_exist(settings, pixels):
    paths().photograph("views").parent.mkdir(parents=True)
    paths().photograph("views").write_bytes(b"")
    found = CliRunner().invoke(cli.main, ["eda"])
    assert found.exit_code == 0, found.output
    text = paths().page("eda").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 15
    assert [link for link in links if link != "summary.md" and not (paths().reports / link).exists()] == []

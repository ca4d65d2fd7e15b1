import json

import grimp
import pytest

from deepfake import config, layout, runtime
from deepfake.errors import InputError
from deepfake.studies import plan, selection


def test_each_experiment_is_written_as_it_resolves(study):
    settings = study({})
    plan.write_fixed(settings)
    for name in (*settings.experiments, "custom"):
        written = config.RunConfig.model_validate_json(layout.plan(name).read_text())
        assert written == config.resolve(settings, name)
    assert not layout.plan("resnet34_best").exists()


def test_candidates_follow_the_decision(study):
    settings = study({})
    with pytest.raises(InputError, match="run deepfake decide"):
        plan.write_decided(settings)
    selection.decide(settings)
    plan.write_decided(settings)
    before = {name: layout.plan(name).read_bytes() for name in config.candidate_experiments(settings)}
    assert len(before) == 3 * len(settings.candidates)
    # the same decision again changes no file; another one changes all
    plan.write_decided(settings)
    assert {name: layout.plan(name).read_bytes() for name in before} == before
    other = config.read_decision().model_copy(update={"resolution": "high", "augmentation": "full"})
    layout.DECISION.write_text(other.model_dump_json())
    plan.write_decided(settings)
    assert all(layout.plan(name).read_bytes() != content for name, content in before.items())


def test_a_digest_is_that_of_the_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan.write_code()
    graph = grimp.build_graph("deepfake", cache_dir=None)
    digests = {stage: json.loads(layout.code(stage).read_text())["sha256"] for stage in plan.STAGES}
    paths = plan.files(graph, plan.STAGES["split"])
    assert {"data/splits.py", "tables.py", "errors.py"} <= set(paths)
    assert not any(path.startswith(("training", "loading", "reports")) for path in paths)
    assert digests["split"] == runtime.code_hash(paths)
    assert digests["train"] != digests["scale"] != digests["report"]

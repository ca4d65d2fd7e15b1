import shutil
import zipfile

import pytest
from click.testing import CliRunner
from PIL import Image

from deepfake import cli
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.synthetic import generated, photographs, recordings


def test_there_is_a_recipe_for_every_generated_data_set_and_its_sources_are_the_catalogs() -> None:
    assert tuple(generated.RECIPES) == catalog.GENERATED
    for name, recipe in generated.RECIPES.items():
        entry = catalog.find(name)
        assert list(recipe.titles) == list(entry.sources)
        assert entry.obtain == f"deepfake sample {name}".removesuffix(" sample")


@pytest.mark.parametrize("name", [name for name in catalog.GENERATED if name != "sample"])
def test_the_command_writes_a_data_set_and_its_contact_sheet(
    name: str, project: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "PEOPLE", 4)
    table = recordings.table
    monkeypatch.setattr(
        recordings,
        "table",
        lambda of: [row for row in table(of) if row.utterance.endswith(("_ca_01", "_da_01", "_ca_22", "_da_22"))],
    )
    done = CliRunner().invoke(cli.main, ["sample", name])
    assert done.exit_code == 0, done.output
    for source in generated.RECIPES[name].titles:
        archive, folder = (paths().raw(name) / f"{source}{suffix}" for suffix in (".zip", ""))
        names = zipfile.ZipFile(archive).namelist() if archive.exists() else [*folder.rglob("*.*")]
        assert names
    if generated.RECIPES[name].draw is not None:
        with Image.open(paths().photograph(name)) as sheet:
            assert min(sheet.size) > 300


def test_what_cannot_be_made_is_told_in_one_line(project: object) -> None:
    runner = CliRunner()
    done = runner.invoke(cli.main, ["sample", "sample_editd"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean sample_edited" in done.stderr and done.stderr.count("\n") == 1
    shutil.rmtree(paths().raw("sample"))
    done = runner.invoke(cli.main, ["sample", "sample_resent"])
    assert done.exit_code == 2
    assert done.stderr == "deepfake: data/raw/sample/wiki.zip: not found; run deepfake sample first\n"
    assert not paths().raw("sample_resent").exists()

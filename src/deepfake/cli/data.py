"""The commands that prepare data: from raw files to splits, faces and pixels."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepfake import project
from deepfake.errors import InputError
from deepfake.project import paths

if TYPE_CHECKING:
    from deepfake.config.params import Params


@click.command()
@click.option("--schema", is_flag=True, help="Print the JSON schema of params.yaml, for editors.")
def check(schema: bool) -> None:
    """Check params.yaml and the catalog, and that the data sets in use are there."""
    import json

    from deepfake import config
    from deepfake.config.params import Params
    from deepfake.datasets import catalog
    from deepfake.studies import own_data

    if schema:
        click.echo(json.dumps(Params.model_json_schema(), indent=1))
        return
    settings = config.load()
    for dataset in (settings.dataset, *settings.studies.generalization.datasets):
        catalog.require(dataset)
    for study in ("audio", "video"):
        if getattr(settings.studies, study) is not None:
            own_data.check(study, settings)
    _check_patches(settings)
    click.echo(f"{paths().params}: preset {settings.preset}, {len(config.entries(settings))} runs")


def _check_patches(settings: "Params") -> None:
    """Check that images are as large as models named after their patches need; others are checked before they train.

    Raises:
        InputError: the run, its model, and the nearest sizes that fit.
    """
    from deepfake import config
    from deepfake.config.studies import Trained

    for name, entry in config.entries(settings).items():
        if not isinstance(entry.run, Trained):
            continue
        try:
            run = config.resolve(settings, name, config.read_decision() if paths().decision.exists() else None)
        except InputError:  # its view has not been decided yet
            continue
        if "patch" in run.model:
            from deepfake import models  # which takes seconds to import

            try:
                models.check_size(run.model, run.resolution)
            except InputError as error:
                raise InputError(f"{entry.study}, run {name}: {error}") from None


@click.command()
@click.argument("name", default="sample")
def sample(name: str) -> None:
    """Generate the embedded data set NAME (default: sample) from real photographs."""
    from deepfake.cli import console
    from deepfake.config import params
    from deepfake.synthetic import generated

    recipe = generated.find(name)
    settings = params.load()
    with console.shown() as progress:
        recipe.generate(settings, paths().raw(name), progress)
    if recipe.draw is not None:
        recipe.draw(paths().raw(name), recipe.titles, paths().photograph(name))


@click.group()
def data() -> None:
    """Obtain published data sets, and link raw data."""


@data.command()
@click.argument("dataset")
def fetch(dataset: str) -> None:
    """Download the published archives of DATASET at the pinned revision; resumes an interrupted download."""
    from deepfake.cli import console
    from deepfake.datasets import catalog
    from deepfake.datasets import fetch as hub

    entry = catalog.find(dataset)
    with console.shown() as progress:
        hub.fetch(dataset, entry, paths().raw(dataset), progress=progress)
    click.echo(hub.next_steps(dataset))


@data.command()
def link() -> None:
    """In DVC's copy of a workspace (dvc exp run --queue, --temp): link the raw data of the original."""
    from deepfake.datasets import catalog

    for line in catalog.link_from_original():
        click.echo(line, err=True)  # what was made of it may be there; if not, DVC ends with the next stage


@click.command()
@click.argument("dataset", required=False)
@click.option("--raw", type=click.Path(path_type=Path), help="Where the files lie, if not in data/raw/DATASET.")
@click.option(
    "--look",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Only say what a folder would be taken for, and print the catalog entry to paste; decodes nothing.",
)
def ingest(dataset: str | None, raw: Path | None, look: Path | None) -> None:
    """Hash and decode every file of DATASET; quarantine what cannot be used.

    DATASET is an entry of data/catalog.yaml; `deepfake ingest --look FOLDER` writes one. Labels come from folders
    called real and fake (at any depth: train/REAL, 1_fake), from the patterns of the key `labels`, from a CSV
    (`table`), or from a known layout (`recipe`: FaceForensics++, Celeb-DF, DFDC, ASVspoof, ...). Captions, tables and
    thumbnails beside the media are passed over and counted.
    """
    if look is not None:
        from deepfake.datasets.layouts import look as looking

        if raw is not None:
            raise InputError("--raw goes with a data set of the catalog; --look names the folder itself")
        click.echo(looking.look(look, dataset))
        return
    if dataset is None:
        raise InputError("name a data set of the catalog, or a folder to look at: deepfake ingest --look FOLDER")
    from deepfake import runtime
    from deepfake.cli import console
    from deepfake.config import params
    from deepfake.datasets import catalog, ingest

    settings = params.load().ingest
    runtime.keep_memory()
    entry = catalog.find(dataset)
    if raw is not None:
        catalog.attach(dataset, raw)
    with console.shown() as progress:
        click.echo(ingest.write(dataset, entry, settings, threads=runtime.cores(), progress=progress))


@click.command()
@click.argument("dataset")
def split(dataset: str) -> None:
    """Give every sample of DATASET its test set or fold; groups stay together. Print what each holds."""
    from deepfake.config import params
    from deepfake.datasets import catalog, composition, partition
    from deepfake.studies.data_cards import page

    entries = catalog.load()
    manifest = partition.write(dataset, params.load(), entries)
    card = page.write(dataset, entries[dataset], manifest)
    click.echo(f"{composition.count(manifest).to_markdown()}\n{dataset}: {card}")


@click.command()
@click.argument("dataset")
def faces(dataset: str) -> None:
    """Find the face in every image of DATASET; resumes after a kill."""
    from deepfake import config, execution
    from deepfake.cli import console
    from deepfake.loading import views
    from deepfake.studies import face_tables

    settings = config.load()
    if not any(config.resolve_view(settings, view).face_margin is not None for view in views.wanted(settings, dataset)):
        face_tables.write_none(dataset)
        click.echo(f"{dataset}: no view in use cuts out faces, so none were looked for")
        return
    from deepfake.studies import faces  # imports torch

    loader = settings.presets[settings.preset].loader
    with execution.using(execution.here(settings.execution)), console.shown() as progress:
        rates = faces.run(dataset, settings.faces, loader, progress=progress)
    click.echo(f"{dataset}: a face in {rates['found'].sum()} of {rates['samples'].sum()} images")


@click.command()
@click.argument("dataset")
def views(dataset: str) -> None:
    """Decode every image of DATASET once for each view (`views` in params.yaml) that runs look through."""
    from deepfake import config, runtime
    from deepfake.cli import console
    from deepfake.loading import views

    settings = config.load()
    for view in views.wanted(settings, dataset):
        resolved = config.resolve_view(settings, view, dataset=dataset)
        with console.shown() as progress:
            facts = views.write(resolved, threads=runtime.cores(), cuda=runtime.has_gpu(), progress=progress)
        if resolved.face_margin is not None:
            count = f"{facts['without_face']} of {facts['images']}"
            click.echo(f"{dataset}, {view}: {count} images have no face: their central square")


@click.command()
@click.argument("dataset")
@click.pass_context
def prepare(context: click.Context, dataset: str) -> None:
    """Do all that a study needs of DATASET before training: ingest, faces, split, views and features."""
    from deepfake.cli.study import features

    for step in (ingest, faces, split, views, features):
        context.invoke(step, dataset=dataset)


@click.command()
def conditions() -> None:
    """Draw what each view shows and what each augmentation does, on images of the data set."""
    from deepfake import config
    from deepfake.studies import previews

    previews.draw(config.load())


@click.command()
def weights() -> None:
    """Bring the ImageNet weights that models of the studies start from into data/weights."""
    from deepfake import config
    from deepfake.cli import console
    from deepfake.runs import weights

    with console.shown() as progress:
        weights.run(config.load(), progress)


@click.command()
def union() -> None:
    """Join the study's data set and those of `studies.generalization.union` into one to be trained on."""
    from deepfake import config
    from deepfake.studies.generalization import combined

    settings = config.load()
    manifest = combined.run(settings)
    click.echo(f"{project.UNION}: {len(manifest)} samples of {', '.join(combined.members(settings))}")


COMMANDS = (check, sample, data, ingest, split, faces, views, prepare, conditions, weights, union)

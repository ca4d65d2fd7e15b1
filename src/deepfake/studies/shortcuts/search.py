"""The search for shortcuts in the data: what tells fakes from reals without a look at the content; no run is needed."""

import pandas as pd

from deepfake import tables
from deepfake.config import ViewConfig, resolve, resolve_view, title
from deepfake.config.params import Params
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.studies import probing
from deepfake.tables import results as result_tables


def run(
    settings: Params,
    dataset: str,
    *,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Probe a data set: its files, the views of `studies.shortcuts` and those that its runs are trained on.

    Writes the table of probes, and the scores of the joint ones, against which `analysis.run` holds trained runs.
    Views are those of the study's data set; of another one only the files are probed.

    Args:
        settings: the checked params.yaml.
        dataset: it must have been split; its features are measured unless that was done before.
        threads: decoding threads.
        cuda: whether views are decoded on the GPU, where they have to be.
        progress: told of each step and of the images done.

    Returns:
        The rows of the probes (`probes.judge`).

    Raises:
        InputError: the data cannot be cross-validated, or the features are of other files.
    """
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    samples = probing.identities(manifest)
    shown = _views(settings) if dataset == settings.dataset else ()
    subjects = probing.subjects(dataset, manifest, shown, threads=threads, cuda=cuda, progress=progress)
    judged, scores = probing.judge(subjects, samples, settings, progress)
    result_tables.write(judged, title(settings, "probes", dataset))
    tables.write(scores, paths().probe_scores(dataset), tables.PROBE_SCORES)
    return judged


def _views(settings: Params) -> list[ViewConfig]:
    """Return the views that are probed, some of them maybe twice."""
    return [
        *(resolve_view(settings, name, "studies.shortcuts.views") for name in settings.studies.shortcuts.views),
        *(resolve(settings, name).view for name in settings.studies.shortcuts.runs),
    ]

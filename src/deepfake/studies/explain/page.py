"""The page on the explanations: where the final models look, what they get wrong, how sure they are."""

from deepfake import tables
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import wording
from deepfake.studies.explain import galleries

NAME = "explain"
TITLE = "Explanations of the final models"


def write(settings: Params) -> None:
    """Write the page and its figure from what `studies.explanation.run` left behind.

    Raises:
        InputError: nothing has been explained yet.
    """
    confidence = settings.evaluation.confidence
    parts = [
        f"# {TITLE}",
        "[Summary](summary.md), [phase 4](phase4.md)",
        "## Where they look",
        galleries.attention(confidence),
        wording.photographs("gradcam", "Grad-CAM of held-out images"),
        "## How sure they are",
        galleries.certainty(confidence),
        "## Hard examples",
        galleries.hard(),
        wording.photographs("hard_examples", "the most confidently wrong images"),
        "*The pictures of photographs are made by `dvc repro` and not kept in git: they may not be redistributed.*",
    ]
    tables.write_text("\n\n".join(parts) + "\n", paths().page(NAME))

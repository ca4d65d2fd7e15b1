"""What the plan asks in each phase, answered from its tables."""

from deepfake.config import entries, read_final
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.studies.phases import answers, rankings
from deepfake.studies.phases.answers import Answer
from deepfake.studies.results import Results
from deepfake.tables import results as result_tables


def phase2(found: Results, settings: Params) -> dict[str, Answer]:
    """Answer the questions of phase 2, by name."""
    confidence = settings.evaluation.confidence
    learned = bool(found.pairs("phase2a_holdout")["a_learned"].any())
    held_out = result_tables.read("phase2_holdout")
    probes = result_tables.read("probes")
    framings = probes[(probes["level"] == "family") & (probes["name"] == "framing")].set_index("subject")
    views = {name: entry.run.view for name, entry in entries(settings).items() if isinstance(entry.run, Trained)}
    asked = {
        "resolution": ("Does higher resolution improve performance?", "phase2b"),
        "face_crop": ("Does face cropping improve performance?", "phase2c"),
        "augmentation": ("Does augmentation without face crop improve or hurt performance?", "phase2d"),
        "augmentation_face": (
            "Does augmentation with face crop improve or hurt it, beside face crop alone?",
            "phase2e",
        ),
    }
    return {
        "geometry": answers.geometry(found.pairs("phase2a_geometry")),
        "colour": answers.colour(found.pairs("phase2a_colour")),
        "sources": answers.sources(held_out, settings.interpretation.source_specific, learned=learned),
        **{
            key: answers.framed(answers.compared(question, pairs, answers.EFFECT), pairs, views, framings)
            for key, (question, table) in asked.items()
            for pairs in [found.pairs(table)]
        },
        "removal": answers.shortcuts(found, "phase2d", "without face crop", confidence),
        "removal_face": answers.shortcuts(found, "phase2e", "with face crop", confidence),
        "interaction": answers.interaction(found, confidence),
        "decision": rankings.decision(result_tables.read("phase2_decision"), found, settings),
    }


def phase3(found: Results, settings: Params) -> dict[str, Answer]:
    """Answer the questions of phase 3, by name."""
    told = {
        "best": rankings.best(found, result_tables.read("phase3_ranking"), settings),
        "differences": rankings.differences(found),
        "size": rankings.size(found, settings.evaluation.significance),
        "depth": rankings.depth(found),
    }
    return {name: answer for name, answer in told.items() if answer is not None}


def phase4(scaled: Results, final: Results, settings: Params) -> dict[str, Answer]:
    """Answer the questions of phase 4, by name."""
    chosen = read_final()
    found = {
        "scaling": rankings.scaling(scaled, settings),
        "final": rankings.final(final, chosen, settings),
        "errors": rankings.errors(final, chosen),
        "undecided": rankings.undecided(final),
    }
    return {name: answer for name, answer in found.items() if answer is not None}

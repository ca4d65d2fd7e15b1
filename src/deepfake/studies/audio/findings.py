"""What the study of speech concludes: one finding a question, from its tables."""

from collections.abc import Iterator

from deepfake.config import RunConfig, config_of
from deepfake.project import paths
from deepfake.reports.findings import Finding, Verdict, above_chance, tested
from deepfake.studies import own_data, results
from deepfake.studies.results import SOURCES
from deepfake.tables import results as result_tables

_SPECIFIC: dict[str, Verdict] = {"better": "shortcut", "worse": "no_shortcut", "equivalent": "no_shortcut"}
"""Where a better AUC is the sign of features that belong to one vocoder."""


def of() -> list[Finding]:
    """Return the findings in the order in which the page asks the questions.

    The key one is about unknown vocoders; where no run does without one, whether the first run is above chance.
    """
    found = results.read("audio")
    names = {name: found.titles[name] for name in result_tables.read("audio_cells")["experiment"].unique()}
    asked = [*_here(found, names), *_unknown(), *_elsewhere(names), *_files()]
    if not any(one.key for one in asked):
        asked[0] = asked[0].model_copy(update={"key": True})
    return asked


def _here(found: results.Results, names: dict[str, str]) -> Iterator[Finding]:
    """Yield whether detectors know speakers whom they have not met, and which detector is better."""
    for name, title in names.items():
        question = f"Does {title} tell vocoders from recordings of unseen speakers better than chance?"
        yield above_chance(f"chance.{name}", question, found.row(name))
    for _, pair in found.pairs("audio_models").iterrows():
        question = f"Is {pair['title']} better than {pair['against']}?"
        answer = tested(f"model.{pair['experiment']}", question, pair)
        said = _budget(config_of(pair["experiment"]), pair["title"])
        yield answer if answer.note or not said else answer.model_copy(update={"note": said})


def _budget(config: RunConfig, title: str) -> str:
    """Return how little a network was trained under a small preset, which its verdict does not show; else nothing."""
    if config.train == "head" or config.preset == "full":
        return ""
    had = f"{config.epochs} epochs on {config.fraction:.0%} of the training groups"
    return f"{title} had {had}; more training may change this."


def _unknown() -> Iterator[Finding]:
    """Yield what training on a vocoder brings to its detection."""
    if not paths().table("audio_holdout").exists():
        return
    (mean,) = result_tables.read("audio_holdout_mean").to_dict("records")
    question = "Are features specific to vocoders: does training on a vocoder improve its detection, on average?"
    yield tested("holdout", question, mean, _SPECIFIC, key=True)
    for row in result_tables.read("audio_holdout").to_dict("records"):
        question = f"Does training on {SOURCES.get(row['source'], row['source'])} copies improve their detection?"
        yield tested(f"holdout.{row['source']}", question, row, _SPECIFIC)


def _elsewhere(names: dict[str, str]) -> Iterator[Finding]:
    """Yield what detectors are worth on the other data sets."""
    cells = result_tables.read("audio_cells")
    for row in cells[cells["in_domain"] == 0].to_dict("records"):
        name, dataset = row["experiment"], row["dataset"]
        question = f"Is {names[name]} above chance on {dataset}, which it was not trained on?"
        yield above_chance(f"chance.{name}.{dataset}", question, row)
    gaps = result_tables.read("audio_gaps")
    for row in gaps[gaps["metric"] == "auc"].to_dict("records"):
        name, dataset = row["experiment"], row["dataset"]
        question = f"Is {names[name]} as good on {dataset} as on {row['reference']}?"
        yield tested(f"gap.{name}.{dataset}", question, row)


def _files() -> Iterator[Finding]:
    """Yield whether the files alone give the label away."""
    yield from own_data.probed(result_tables.read("audio_probes"))

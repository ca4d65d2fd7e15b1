"""What the phases conclude: one finding a question, from their tables."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from deepfake.config.params import Params
from deepfake.reports.findings import Finding, Verdict, above_chance, tested
from deepfake.studies import results
from deepfake.studies.phases.analysis import SHIFT_ROPE
from deepfake.studies.results import Results
from deepfake.tables import results as result_tables

_AS_SHORTCUT: dict[str, Verdict] = {"better": "shortcut", "worse": "no_shortcut", "equivalent": "no_shortcut"}
"""Where a better AUC is the sign of a shortcut."""
_LOST: dict[str, Verdict] = {"worse": "shortcut", "better": "no_shortcut", "equivalent": "no_shortcut"}
"""Where a fall of the AUC is the sign of a shortcut."""
_SAME_RUN = "Both give the same scores; choose another model: dvc exp run -S model=NAME."
"""Of a custom run that is its baseline."""


def of(phase: str, settings: Params) -> list[Finding]:
    """Return the findings of a phase in the order in which its page asks the questions."""
    return list(_PHASES[phase](settings))


def _chance(found: Results, name: str) -> Finding:
    return above_chance(f"chance.{name}", f"Is {found.label(name)} above chance?", found.row(name))


def _contrasts(
    found: Results,
    table: str,
    id_: str,
    ask: Callable[[Any], str],
    words: dict[str, Verdict] | None = None,
    key: Callable[[Any], bool] = lambda pair: False,
    **more: Any,
) -> Iterator[Finding]:
    """Yield a finding for each contrast of a table; `key` tells those that the summary shows."""
    for _, pair in found.pairs(table).iterrows():
        yield tested(f"{id_}.{pair['experiment']}", ask(pair), pair, words, key=bool(key(pair)), **more)


def _backbone(settings: Params) -> str | None:
    """Return the model that plays the role of the backbone: findings about it are the study's key findings."""
    role = settings.presets[settings.preset].roles.get("backbone")
    return role.model if role else None


def _phase1(settings: Params) -> Iterator[Finding]:
    found = results.read("phase1")
    for name in found.rows["experiment"]:
        yield _chance(found, name)
    backbone = _backbone(settings)
    yield from _contrasts(
        found,
        "phase1",
        "model",
        lambda pair: f"Is {pair['title']} better than {pair['against']}?",
        key=lambda pair: pair["b_model"] == backbone,
    )


def _custom(settings: Params) -> Iterator[Finding]:
    found = results.read("custom")
    for name in found.rows["experiment"]:
        yield _chance(found, name)
    for _, pair in found.pairs("custom").iterrows():
        question = f"Is the custom run ({pair['title']}) better than {pair['against']}?"
        same = pair["difference"] == 0 and isinstance(pair["reason"], str)
        more: dict[str, Any] = {"verdict": "not_run", "note": _SAME_RUN} if same else {}
        yield tested(f"custom.{pair['experiment']}", question, pair, **more)


def _phase2(settings: Params) -> Iterator[Finding]:
    found = results.read("phase2")
    yield from _geometry(found)
    colour = "Are colour statistics a shortcut: does normalising {title} by real images lower the AUC?"
    yield from _contrasts(found, "phase2a_colour", "colour", lambda pair: colour.format_map(pair), _LOST)
    held_out = result_tables.read("phase2_holdout")
    sources = result_tables.read("phase2_sources")
    for _, row in sources.iterrows():
        question = "Are features source-specific: does training on a source improve its detection, on average?"
        yield tested("sources", question, row, _AS_SHORTCUT, key=True)
    for _, row in held_out.iterrows():
        question = f"Does training on {row['source']} improve its detection (are features source-specific)?"
        yield tested(f"source.{row['source']}", question, row, _AS_SHORTCUT)
    backbone = _backbone(settings)
    asked = {
        "phase2b": ("resolution", "Does {b_resolution} px improve {title} over {a_resolution} px?"),
        "phase2c": ("face_crop", "Does a face crop improve {title}?"),
        "phase2d": ("augmentation", "Does augmentation improve {title} on whole images?"),
        "phase2e": ("augmentation_of_faces", "Does augmentation improve {title} on face crops?"),
    }
    for table, (id_, question) in asked.items():
        yield from _contrasts(
            found,
            table,
            id_,
            lambda pair, question=question: question.format_map(pair),
            key=lambda pair, table=table: table in ("phase2c", "phase2d") and pair["b_model"] == backbone,
            note=_framing_note(table, settings),
        )
        if table in ("phase2d", "phase2e"):
            yield from _gaps(found, table, settings)
    for _, row in result_tables.read("phase2_interaction").iterrows():
        title = found.titles[row["experiment"]]
        yield tested(f"interaction.{title}", f"Does augmentation help {title} more on face crops?", row)


def _geometry(found: Results) -> Iterator[Finding]:
    """Yield the findings of 2A-1: is the shape of images a shortcut, and do black bars matter?"""
    ask = {
        "resize": (
            "geometry.shape",
            "Is geometry a shortcut: does a plain resize raise the AUC over a square crop?",
            _AS_SHORTCUT,
            True,
        ),
        "matched": (
            "geometry.reliance",
            "Is it the shape: does that AUC fall once all shapes are equal?",
            _LOST,
            False,
        ),
        "letterbox": ("geometry.letterbox", "Does letterboxing both classes hurt?", _LOST, False),
    }
    for _, pair in found.pairs("phase2a_geometry").iterrows():
        if pair["b_geometry"] in ask:
            id_, question, words, key = ask[pair["b_geometry"]]
            yield tested(id_, question, pair, words, key=key)
    for _, row in result_tables.read("phase2_bars").iterrows():
        if found.row(row["experiment"])["geometry"] != "letterbox_real":
            continue
        share = row["folds_beyond"] / row["folds"]
        verdict: Verdict = "shortcut" if share > 0.5 else "no_shortcut" if share == 0 else "undecided"
        yield Finding(
            id="geometry.bars",
            question="Do black bars alone shift the scores of the same real images?",
            verdict=verdict,
            measure="shift in SD",
            effect=float(row["shift"]),
            n_samples=int(row["samples"]),
            n_groups=int(row["groups"]),
            note=f"Beyond {SHIFT_ROPE} SD in {row['folds_beyond']} of {row['folds']} folds.",
        )


def _framing_note(table: str, settings: Params) -> str:
    """Return why a gain of a table may be a shortcut, or nothing."""
    evidence = result_tables.read("phase2_decision").set_index("table")
    refused = evidence["refused"].get(table)
    return (
        f"The framing of the view {refused} alone predicts the label, so a gain may be a shortcut; it was not chosen."
        if isinstance(refused, str) and refused
        else ""
    )


def _gaps(found: Results, table: str, settings: Params) -> Iterator[Finding]:
    """Yield whether augmentation narrows the train/val gap, one a model of a table."""
    rope = settings.evaluation.rope
    for _, pair in found.pairs(table).iterrows():
        low, high = pair["train_val_gap_low"], pair["train_val_gap_high"]
        verdict: Verdict = (
            "better"
            if high < 0
            else "worse"
            if low > 0
            else "equivalent"
            if max(abs(low), abs(high)) < rope
            else "undecided"
        )
        images = "face crops" if table == "phase2e" else "whole images"
        yield Finding(
            id=f"gap.{pair['experiment']}",
            question=f"Does augmentation narrow the train/val gap of {pair['title']} on {images}?",
            verdict=verdict,
            measure="Δgap",
            effect=float(pair["train_val_gap_change"]),
            low=float(low),
            high=float(high),
            n_samples=int(pair["samples"]),
            n_groups=int(pair["groups"]),
            repeats=int(pair["repeats"]),
        )


def _phase3(settings: Params) -> Iterator[Finding]:
    found = results.read("phase3")
    planned = found.pairs("phase3")
    first = planned.loc[planned["b_model"] != "simple_cnn", "experiment"].iloc[0] if len(planned) else ""
    yield from _contrasts(
        found,
        "phase3",
        "candidate",
        lambda pair: f"Is {pair['title']} better than {pair['against']}?",
        key=lambda pair: pair["experiment"] == first,
    )
    for name in found.rows["experiment"]:
        yield _chance(found, name)


def _phase4(settings: Params) -> Iterator[Finding]:
    by_share, final = results.read("phase4a"), results.read("phase4b")
    largest, backbone = settings.studies.phase4.fractions[-1], _backbone(settings)
    for _, pair in by_share.pairs("phase4a").iterrows():
        shares = f"{pair['b_fraction']:.0%} of the training data improve {pair['title']} over {pair['a_fraction']:.0%}"
        yield tested(
            f"scaling.{pair['experiment']}",
            f"Do {shares}?",
            pair,
            key=str(pair["experiment"]).endswith(f"_{largest}") and pair["b_model"] == backbone,
        )
    yield from _contrasts(
        final, "phase4b", "finalist", lambda pair: f"Is {pair['title']} better than {pair['against']} on all data?"
    )


_PHASES: dict[str, Callable[[Params], Iterable[Finding]]] = {
    "phase1": _phase1,
    "phase2": _phase2,
    "phase3": _phase3,
    "phase4": _phase4,
    "custom": _custom,
}

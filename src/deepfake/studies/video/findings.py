"""What the study of clips concludes: one finding a question, from its tables."""

from collections.abc import Iterator

from deepfake.config import facts_of
from deepfake.reports.findings import Finding, above_chance, tested
from deepfake.studies import own_data, results
from deepfake.tables import results as result_tables


def of() -> list[Finding]:
    """Return the findings in the order in which the page asks the questions."""
    found = results.read("video")
    return [*_pooling(found), *_models(found), *_files()]


def _pooling(found: results.Results) -> Iterator[Finding]:
    """Yield what one verdict a clip, pooled as the run does, brings over one a frame; the first run's is key."""
    names = own_data.names(found)
    rows = result_tables.read("video_pooling")
    first = rows["experiment"].iloc[0]
    for row in rows.to_dict("records"):
        name, how = row["experiment"], row["pooling"]
        if how == facts_of(name)["pooling"]:
            question = f"With {names[name]}: is the {how} over a clip's frames better than single frames?"
            yield tested(f"pooling.{name}", question, row, key=name == first)
    counts = result_tables.read("video_frames")
    for name, each in counts.groupby("experiment", sort=False):
        row = each.iloc[-1]
        question = f"With {names[str(name)]}: are {row['frames']} frames of a clip better than one?"
        yield tested(f"frames.{name}", question, row)


def _models(found: results.Results) -> Iterator[Finding]:
    """Yield whether detectors know people whom they have not met, and whether the face alone serves them better."""
    names = own_data.names(found)
    for name in found.rows["experiment"]:
        yield above_chance(f"chance.{name}", f"With {names[name]}: is the AUC of clips above chance?", found.row(name))
    for _, pair in found.pairs("video_models").iterrows():
        question = f"On clips: is {names[pair['experiment']]} better than {names[pair['baseline']]}?"
        yield tested(f"model.{pair['experiment']}", question, pair)


def _files() -> Iterator[Finding]:
    """Yield whether the files alone give the label away."""
    yield from own_data.probed(result_tables.read("video_probes"))

"""What each view shows of the images: how much, how far shrunk, and how much black beyond them."""

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import resolve_view
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.eda.samples import Samples


def views(data: Samples, settings: Params) -> pd.DataFrame:
    """Return how the views of a data set frame its images.

    Returns:
        One row a view and class: `samples`; `face`, the share that is cut out around a face; medians of `shown` (the
        share of the image's area), `black` (the share of the view that lies beyond the image, black) and `scale`
        (pixels of the image along one of the view); and `scales`, how many different ones there are.

    Raises:
        InputError: a view is of other samples.
    """
    found = []
    for name in settings.views:
        path = paths().regions(data.name, name)
        if not path.exists():
            continue
        size = resolve_view(settings, name, dataset=data.name).size
        regions = tables.read(path, tables.REGIONS)
        if not np.array_equal(regions["sample_id"], data.rows["sample_id"]):
            raise InputError(f"{path}: not of the samples in the manifest; run deepfake views {data.name}")
        rows = data.rows[["label", "width", "height"]].join(regions)
        across = rows["right"].clip(upper=rows["width"]) - rows["left"].clip(lower=0)
        down = rows["bottom"].clip(upper=rows["height"]) - rows["top"].clip(lower=0)
        width, height = rows["right"] - rows["left"], rows["bottom"] - rows["top"]
        rows["shown"] = across * down / (rows["width"] * rows["height"])
        rows["black"] = 1 - across * down / (width * height)
        rows["scale"] = pd.concat([width, height], axis=1).max(axis=1) / size
        for label, part in rows.groupby("label"):
            medians = part[["shown", "black", "scale"]].median()
            identity = {"dataset": data.name, "view": name, "size": size, "label": label, "samples": len(part)}
            found.append(identity | {"face": part["face"].mean()} | dict(medians) | {"scales": part["scale"].nunique()})
    columns = "dataset view size label samples face shown black scale scales"
    return pd.DataFrame(found, columns=columns.split())

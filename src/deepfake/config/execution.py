"""The sections of params.yaml that say how work is carried out; they decide no number."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.config.section import Section

Count = Annotated[int, Field(ge=1)]


class Engine(Section):
    """How a training step is carried out."""

    graph: Literal["auto", "never"] = "auto"
    """`auto`: on a GPU the whole step is captured once as a CUDA graph and replayed, which spares its launches; what
    cannot be captured is trained without, and told once."""


class Execution(Section):
    """Where jobs, such as the folds of all runs of a study, are carried out."""

    backend: Literal["processes", "ray"] = "processes"
    """`processes` of this machine, or a cluster of `ray`'s (extra `deepfake[ray]`)."""
    address: str | None = None
    """Of the Ray cluster: `auto`, `HOST:PORT` or `ray://HOST:PORT`; null: a cluster of this machine alone."""
    gpus: Literal["all"] | Count = "all"
    """How many GPUs of a machine are used."""
    per_gpu: Literal["auto"] | Count = "auto"
    """How many jobs share a GPU; `auto`: as many as its memory, the cores and the measured gain allow."""
    data_parallel: Count = 1
    """Processes that train one fold together, each on its share of every batch; a GPU each, where there are GPUs. More
    than 1 is for a model that one GPU is too slow for."""

    @model_validator(mode="after")
    def _fits(self) -> "Execution":
        if self.address is not None and self.backend != "ray":
            raise ValueError("an address is that of a Ray cluster; set backend to ray, or address to null")
        if self.data_parallel > 1 and self.backend == "ray":
            raise ValueError("data_parallel works within one machine; set it to 1, or backend to processes")
        return self

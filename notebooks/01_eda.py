# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Exploratory Data Analysis
#
# **Question.** Does anything but the content of an image tell real from fake, and is the data sound enough to train on?
#
# **Hypotheses.** H0: a figure of the file (size, storage, colour) has an AUC of 0.5 on other groups. H1: it predicts
# the label, so a detector can be right without a look at the content: a shortcut.
#
# Each figure is judged by a small model on the detectors' own folds, with an interval over groups, Holm-corrected.
# Every number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("01_eda")

# %% [markdown]
# ## Dataset overview (real vs fake distribution, sources)
#
# Label 0 is real, 1 is fake. A group is what must not be parted: a person, or the files of one name.

# %%
overview = ["dataset", "samples", "groups", "reals", "fakes", "share_fake", "sources", "test_samples", "test_groups"]
nb.table("eda_summary", "samples, groups and classes of each data set", overview)
nb.figure("eda_sources", "samples and groups of each source; faint: test set")
nb.table("eda_sources", "the same as numbers")

# %% [markdown]
# ## Image resolution/aspect ratio analysis (identify potential shortcuts)

# %%
nb.figure("eda_sizes", "sizes, bytes and JPEG quality of each source")
quantiles = ["dataset", "source", "label", "measure", "min", "q05", "median", "q95", "max"]
nb.table("eda_sizes", "width, height and aspect ratio", quantiles, {"measure": ["width", "height", "aspect"]})
nb.table("eda_sizes", "storage", quantiles, {"measure": ["bytes_per_pixel", "quality"]})

# %%
nb.findings("eda", "sizes")
judged = ["dataset", "name", "auc", "p_holm", "severity", "verdict", "samples", "groups"]
nb.table("eda_differences", "AUC of each", judged, {"family": ["geometry", "size", "compression"]})

# %% [markdown]
# ## Color distribution analysis (identify potential shortcuts)

# %%
nb.figure("eda_colours", "brightness, contrast and colour of each source")
moments = ["dataset", "source", "label", "measure", "mean", "sd", "q05", "median", "q95"]
measures = ["brightness", "contrast", "saturation"]
nb.table(
    "eda_colours", "the same as numbers; eda_colours.csv has those of each channel", moments, {"measure": measures}
)

# %%
nb.findings("eda", "colours")
nb.table("eda_differences", "AUC of each", judged, {"family": ["colour", "appearance"]})

# %% [markdown]
# ## Sample visualization from each source (text2img, inpainting, insight, wiki)
#
# One image of each source. Photographs may not be redistributed, so they are made here and never committed.

# %%
nb.photograph("views", "one image of each source: the file, and what each view shows of it")
nb.photograph("sample", "photographs of the embedded sample, and what was made of them")

# %% [markdown]
# ## Statistical summary of the dataset

# %%
nb.table("eda_summary", "all of it")

# %% [markdown]
# ## Data quality checks
#
# Each check counts something and has a limit. Failed: results would be wrong. Caution: they are harder to read.

# %%
checks = ["dataset", "check", "value", "of", "limit", "outcome", "meaning"]
nb.table("eda_quality", "what did not pass", checks, {"outcome": ["failed", "caution", "not_checked"]})
nb.table("eda_quality", "what passed", checks, {"outcome": "passed"})
nb.findings("eda", "quality", "splits")

# %% [markdown]
# ## Conclusions
#
# What a figure of the file predicts, phase 2 must take away before a detector's AUC says anything of its content.

# %%
nb.conclusions("eda", "sizes", "colours")
nb.conclusions("eda", "quality", "splits")
nb.conclude(
    "eda",
    "sizes.geometry",
    shortcut="Bring all images to one size and shape first",
    no_shortcut="Sizes need no correction",
    undecided="More groups must decide; treat sizes as a shortcut until then",
)

# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Preprocessing Pipeline
#
# **Question.** What does each step make of the images, does it take shortcuts away, and are the splits free of leaks?
#
# **Hypotheses.** H0: a step changes neither what predicts the label beside the content, nor the AUC of a detector.
# H1: it does: a square crop takes the aspect ratio away, a face crop the background, and the AUC changes.
#
# Differences between detectors have the study's intervals and verdicts: cluster jackknife and repeats, Holm-corrected.
# Every number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("02_preprocessing")

# %% [markdown]
# ## Square crop and resize implementation demonstration
#
# A view is a rectangle that is cut out and resized once, antialiased, to a square. Scale: image pixels along one of
# the view's. Where it differs between real (0) and fake (1), resampling leaves a trace that a detector can find.

# %%
nb.photograph("views", "one image of each source, as each view shows it")
framing = ["dataset", "view", "size", "label", "samples", "shown", "black", "scale", "scales"]
nb.table("eda_views", "what views show: medians of the share shown, the black beyond it, and the scale", framing)

# %%
probed = ["subject", "name", "auc", "p_holm", "severity", "verdict"]
nb.table("probes", "what predicts the label in each view: all families together", probed, {"level": "all"})
nb.table("probes", "the scale and the framing by themselves", probed, {"family": ["geometry", "framing"]})

# %% [markdown]
# ## Face crop (MTCNN) demonstration and effectiveness analysis
#
# Where no face is found, the central square is shown. If that happens more often in one class, the crop is a shortcut.

# %%
nb.figure("eda_faces", "how often a face is found, and how large it is")
nb.table("eda_faces", "detection rate, confidence, and the box's share of the image", interval="share")
nb.findings("eda", "faces")

# %%
nb.findings("phase2", "face_crop")
tests = ["experiment", "baseline", "difference", "p", "verdict", "detectable", "samples", "groups", "repeats"]
nb.table("phase2_tests", "with against without face crop", tests, {"table": "phase2c"})

# %% [markdown]
# ## Augmentation pipeline visualization (before/after examples)
#
# Only training images are augmented; validation, held-out and test images never are.

# %%
nb.photograph("augmentation", "before, after each step alone at its strongest, and after whole policies")
augmented = {"table": ["phase2d", "phase2e"]}
nb.table("phase2_tests", "with against without augmentation, on whole images and on faces", tests, augmented)
nb.findings("phase2", "augmentation", "augmentation_of_faces")

# %% [markdown]
# ## Z-score normalization comparison (ImageNet vs real-image-only)
#
# The statistics are printed by fold. Those of real training images are of no fake, no validation and no held-out image.
# All are affine: they move and stretch all images alike, so none can separate real from fake by itself.

# %%
nb.table("eda_normalization", "mean and standard deviation of each channel, by fold")
nb.figure("eda_normalization", "z-scores of held-out images under each", "eda_zscores")
nb.table("eda_zscores", "mean z-score with its interval over groups, and SD of the pixels", interval="z")
nb.findings("eda", "normalization")

# %%
nb.table("phase2_tests", "a detector under the one against the other", tests, {"table": "phase2a_colour"})
nb.findings("phase2", "colour")

# %% [markdown]
# ## Data split verification (group-aware by basename, no overlap)
#
# Counted anew from the manifest: groups, and files bit for bit the same, that stand in two parts of a fold. Findings
# are about all parts of all repeats; the table shows the first one's held-out parts.

# %%
nb.findings("eda", "splits")
overlaps = ["dataset", "fold", "part", "samples", "groups", "shared_groups", "shared_files"]
held_out = {"repeat": 0, "part": ["held_out", "test"]}
nb.table("eda_splits", "held-out parts: overlaps and balance", [*overlaps, "share_fake", "source_gap"], held_out)
nb.figure("eda_splits", "share of fakes in each fold and in the test set")

# %% [markdown]
# ## Preprocessing impact visualization

# %%
nb.figure("phase2_differences", "change of the AUC by each choice of preprocessing", "phase2_tests")
nb.figure("phase2_shortcuts", "what augmentation makes of shortcuts")
nb.decision("phase2", "what phase 3 goes on with")

# %% [markdown]
# ## Conclusions

# %%
nb.conclude(
    "eda",
    "splits.groups",
    holds="Held-out results are of unseen groups",
    fails="Split again: results are too good",
)
nb.conclusions("phase2", "geometry", "colour", "face_crop", "augmentation")

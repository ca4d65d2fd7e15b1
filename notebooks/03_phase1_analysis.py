# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Phase 1: Architecture Baseline
#
# **Question.** Which simple architecture is the better baseline when everything else is the same?
#
# **Hypotheses.** H0: the two models have the same AUC on people whom neither has seen.
# H1: they differ by more than the region of practical equivalence.
#
# The test is the study's own: a delete-one-group jackknife with the variance between repeats, Holm-corrected over the
# planned contrasts. Its interval is the one that is shown.

# %%
from deepfake.reports import notebook as nb

nb.start("03_phase1_analysis")

# %% [markdown]
# ## SimpleCNN vs ResNet18 comparison
#
# In the preset `quick` a frozen backbone stands for the design's fine-tuned ResNet18; the table names what was trained.

# %%
conditions = ["experiment", "model", "train", "parameters", "resolution", "fraction", "face_crop", "augmented"]
nb.table("phase1_experiments", "what was trained, and under which conditions", conditions)
nb.figure("phase1_auc", "AUC of each model, over all fakes and for each source", "phase1_experiments")

# %% [markdown]
# ## 5-fold stratified CV results (mean ± std with confidence intervals)

# %%
figures = ["experiment", "auc", "auc_all", "train_val_gap", "samples", "groups", "repeats"]
nb.table("phase1_experiments", "held-out AUC: over pairs of different people, and mean ± std over folds", figures)
nb.spread("phase1", "mean ± std over folds", ["auc", "average_precision", "balanced_accuracy", "f1_macro", "eer"])

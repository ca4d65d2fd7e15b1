# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Phase 1: Architecture Baseline
#
# **Question.** Which of the simple architectures is the better baseline when everything else is the same?
#
# **Hypotheses.** H0: two models have the same AUC on people whom neither has seen, up to the region of practical
# equivalence. H1: one of them is better by more than that.
#
# The test is the study's own: a delete-one-group jackknife, plus the variance between repeats, Holm-corrected over
# the planned contrasts. A verdict is about a region of practical equivalence, and "undecided" is an answer. Every
# number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("03_phase1_analysis")

# %% [markdown]
# ## SimpleCNN vs ResNet18 comparison
#
# In the preset `quick` a frozen backbone stands for the design's fine-tuned ResNet18, and ResNet18 is trained from
# scratch; the table says what was trained.

# %%
conditions = ["experiment", "model", "train", "pretrained", "parameters", "resolution", "fraction"]
nb.table("phase1_experiments", "what was trained, all under the same conditions", conditions)
nb.figure("phase1_auc", "AUC of each model, over all fakes and for each source", "phase1_experiments")

# %% [markdown]
# ## 5-fold stratified CV results (mean ± std with confidence intervals)
#
# Folds keep people apart: the AUC is over pairs of different people, and its interval is that of other people.

# %%
figures = ["experiment", "auc", "auc_all", "chance", "samples", "groups", "repeats"]
nb.table("phase1_experiments", "held-out AUC with its interval, and over all pairs with its spread", figures)
metrics = ["auc", "average_precision", "accuracy", "balanced_accuracy", "f1_macro", "eer", "tpr_at_fpr_1"]
nb.spread("phase1", "mean ± std over folds, at each fold's own threshold", metrics)

# %% [markdown]
# ## Per-source metrics for each model (text2img, inpainting, insight)

# %%
nb.spread("phase1", "AUC of each source's fakes against all reals, mean ± std over folds", ["auc_*"])
sources = ["experiment", "hardest_source", "source_auc_sd", "source_auc_variance"]
nb.table("phase1_experiments", "how far the sources lie apart", sources)
nb.figure("phase1_sources_heatmap", "AUC by model and source", "phase1_experiments")

# %% [markdown]
# ## Train/val/test performance curves across epochs
#
# Training and inner validation are measured after each epoch. The held-out fold is predicted once, by the epoch that
# the inner validation chose. A curve of it would be a look at what must not choose. Its value is the column `AUC`.

# %%
nb.figure("phase1_curves", "AUC over epochs: training and inner validation, a thin line a fold", "phase1_history")
nb.spread(
    "phase1",
    "at the chosen epoch: training, inner validation, held out",
    ["train_auc", "validation_auc", "auc", "train_val_gap"],
)

# %% [markdown]
# ## Confusion matrices for each model

# %%
nb.figure("phase1_confusion", "confusion matrices over all held-out folds; shares are of a row")
nb.table("phase1_confusion", "the same as counts")
nb.figure("phase1_roc", "ROC: mean over folds with pointwise 95% CI, and each held-out fold", "phase1_roc_band")
nb.figure("phase1_pr", "precision and recall: mean over folds with pointwise 95% CI")

# %% [markdown]
# ## Statistical significance testing between models

# %%
tests = ["experiment", "baseline", "difference", "p", "verdict", "reason", "detectable", "samples", "groups", "repeats"]
nb.table("phase1_tests", "planned contrasts: difference in AUC; detectable: with a power of 80%", tests)
nb.findings("phase1")

# %% [markdown]
# ## Grad-CAM visualizations for both models (10-20 images each)
#
# Read the table before the pictures: one heatmap proves nothing.

# %%
nb.photograph("gradcam_phase1", "Grad-CAM of held-out images: confident right, confident wrong, borderline")
runs = nb.runs("phase1", "phase1")
regions = ["experiment", "images", "groups", "without_heat", "face_excess", "border_excess", "background_excess"]
nb.table("explain_regions", "attribution on a region less its area", regions, {"experiment": runs})
nb.table("explain_gradcam", "the same by source and verdict", ["source", "verdict", *regions], {"experiment": runs})

# %% [markdown]
# ## Conclusions: Which baseline is better and why
#
# "Why" is what the tables can show: how far training fits what it has seen (gap), which source is hard, how many
# weights there are.

# %%
nb.conclusions("phase1", "model")
nb.conclusions("phase1", "chance")
nb.conclude(
    "phase1",
    "model",
    better="Take this model as the baseline",
    worse="Keep the simpler baseline",
    equivalent="Keep the smaller model: the difference is of no account",
    undecided="More people or repeats must decide",
)
why = ["experiment", "parameters", "train_auc", "validation_auc", "train_val_gap", "hardest_source"]
nb.table("phase1_experiments", "what could explain it", why)

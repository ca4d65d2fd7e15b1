# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Phase 3: Extended Architecture Exploration
#
# **Question.** Under the preprocessing that phase 2 chose: which architectures work best, and do size or family
# explain it?
#
# **Hypotheses.** For each candidate: H0, it is as good as the baseline up to the region of practical equivalence; H1,
# it is better or worse by more. Over all: H0, more parameters bring no higher AUC.
#
# The test is the study's own: a delete-one-group jackknife, plus the variance between repeats, Holm-corrected over
# the planned contrasts. A verdict is about a region of practical equivalence, and "undecided" is an answer. Every
# number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("05_phase3_analysis")

# %% [markdown]
# ## ResNet34, ResNet50, EfficientNet-B0, ConvNeXt-Tiny, MobileNetV3-Small
#
# These are the candidates of the preset `full`. `quick` takes frozen backbones whose weights come as packages; the
# table names those that were trained.

# %%
nb.decision("phase2", "the preprocessing that phase 2 chose")
conditions = ["experiment", "model", "train", "pretrained", "parameters", "resolution", "face_crop", "augmented"]
nb.table("phase3_experiments", "the candidates", conditions)

# %% [markdown]
# ## 5-fold CV results (mean ± std) for each model

# %%
figures = ["experiment", "auc", "auc_all", "chance", "train_val_gap", "samples", "groups", "repeats"]
nb.table("phase3_experiments", "held-out AUC with its interval, and over all pairs with its spread", figures)
metrics = ["auc", "average_precision", "accuracy", "balanced_accuracy", "f1_macro", "eer", "tpr_at_fpr_1"]
nb.spread("phase3", "mean ± std over folds, at each fold's own threshold", metrics)
nb.figure("phase3_roc", "ROC: mean over folds with pointwise 95% CI, and each held-out fold", "phase3_roc_band")
nb.figure("phase3_pr", "precision and recall: mean over folds with pointwise 95% CI")
nb.figure("phase3_curves", "AUC over epochs, a thin line a fold; linear heads have no epochs", "phase3_history")

# %% [markdown]
# ## Per-source metrics for each model

# %%
nb.spread("phase3", "AUC of each source's fakes against all reals, mean ± std over folds", ["auc_*"])
nb.table("phase3_experiments", "how far the sources lie apart", ["experiment", "hardest_source", "source_auc_sd"])
nb.figure("phase3_sources_heatmap", "AUC by model and source", "phase3_experiments")

# %% [markdown]
# ## Comparison with Phase 1 baselines (ResNet18, SimpleCNN)
#
# Phase 1 was measured at its own resolution. The baselines of this phase are the same models under the conditions of
# the candidates, so that only the architecture differs. Phase 1 itself stands below for reference.

# %%
columns = ["experiment", "model", "resolution", "parameters", "auc", "train_val_gap"]
nb.table("phase3_experiments", "phase 3, with the baselines under its conditions", columns)
nb.table("phase1_experiments", "phase 1", columns)

# %% [markdown]
# ## Statistical significance testing vs baselines

# %%
tests = ["experiment", "baseline", "difference", "p", "verdict", "reason", "detectable", "samples", "groups", "repeats"]
nb.table("phase3_tests", "planned contrasts: difference in AUC; detectable: with a power of 80%", tests)
nb.findings("phase3", "candidate")
nb.figure("explain_agreement", "agreement of each two models: decisions, scores, errors")

# %% [markdown]
# ## Grad-CAM visualizations for top models (10-20 images each)

# %%
nb.photograph("gradcam_phase3", "Grad-CAM of held-out images by the models of phase 3")
runs = nb.runs("phase3", "phase3")
regions = ["experiment", "images", "groups", "without_heat", "face_excess", "border_excess", "background_excess"]
nb.table("explain_regions", "attribution on a region less its area", regions, {"experiment": runs})
nb.table("explain_gradcam", "the same by source and verdict", ["source", "verdict", *regions], {"experiment": runs})

# %% [markdown]
# ## Parameter count vs performance analysis

# %%
nb.figure("phase3_size", "AUC against the number of parameters", "phase3_experiments")
nb.table("phase3_ranking", "the ranking: a tie goes to the model with fewer parameters")

# %% [markdown]
# ## Conclusions: Which architectures work best and why

# %%
nb.conclusions("phase3", "candidate")
nb.conclusions("phase3", "chance")
same = {"equivalent": "As good as the baseline", "undecided": "Not told from the baseline by this study"}
nb.conclude("phase3", "candidate", better="Better than the baseline", worse="Worse: drop it", **same)
nb.decision("phase3", "what phase 4 goes on with")
why = ["experiment", "parameters", "train_auc", "validation_auc", "train_val_gap", "hardest_source", "ece"]
nb.table("phase3_experiments", "what could explain it", why)

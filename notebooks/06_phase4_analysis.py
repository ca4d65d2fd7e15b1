# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Phase 4: Final Analysis
#
# **Questions.** Does more data help the best models? Which is the final model? What does it get wrong, and how sure
# is it then? What does it make of people whom no run has seen?
#
# **Hypotheses.** H0: with more data the AUC stays within the region of practical equivalence; H1: it rises by more.
# H0: the finalists are equally good; H1: one is better by more than that.
#
# The test is the study's own: a delete-one-group jackknife, plus the variance between repeats, Holm-corrected over
# the planned contrasts. A verdict is about a region of practical equivalence, and "undecided" is an answer. Every
# number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("06_phase4_analysis")
tests = ["experiment", "baseline", "difference", "p", "verdict", "reason", "detectable", "samples", "groups", "repeats"]

# %% [markdown]
# ## 4A: Data quantity scaling (20%, 50%, 100%) on top 3-4 models
#
# The shares are those of the preset; a share is one of the training people, and all are measured on the same held-out
# people.

# %%
nb.table("phase4a_experiments", "held-out AUC by share", ["experiment", "model", "fraction", "auc", "train_val_gap"])
nb.table("phase4a_tests", "planned contrasts against the smallest share", tests)
nb.figure("phase4_scaling", "AUC against the share of the training people", "phase4a_experiments")
nb.conclude(
    "phase4",
    "scaling",
    better="More data help",
    equivalent="More data bring nothing more",
    worse="More data hurt",
    undecided="Whether more data help is open",
)

# %% [markdown]
# ## 4B: Comprehensive evaluation on full dataset

# %%
figures = ["experiment", "model", "parameters", "auc", "average_precision", "balanced_accuracy", "eer", "ece", "brier"]
nb.table("phase4b_experiments", "the finalists on all data", figures)
nb.figure("phase4_roc", "ROC: mean over folds with pointwise 95% CI, and each held-out fold", "phase4_roc_band")
nb.figure("phase4_pr", "precision and recall: mean over folds with pointwise 95% CI")
nb.figure("phase4_confusion", "confusion matrices over all held-out folds; shares are of a row")
nb.figure("phase4_thresholds", "recall, balanced accuracy and F1 against the threshold, with pointwise 95% CIs")

# %%
nb.figure("phase4_reliability", "share of fakes by predicted probability; bars: noise of a calibrated detector")
nb.table("phase4_calibration", "calibration, before and after temperature scaling")
nb.figure("phase4_risk_coverage", "errors when the least confident images are left undecided")
nb.table("phase4_aurc", "area under that curve; excess: over the least that as many errors allow")

# %% [markdown]
# ## Detailed per-source metrics for final models

# %%
nb.spread("phase4b", "AUC of each source's fakes against all reals, mean ± std over folds", ["auc_*"])
nb.table("phase4b_experiments", "how far the sources lie apart", ["experiment", "hardest_source", "source_auc_sd"])
nb.figure("phase4_sources", "AUC of the final models, over all fakes and for each source", "phase4b_experiments")
nb.figure("phase4_sources_heatmap", "AUC by run and source", "phase4a_experiments")

# %% [markdown]
# ## Grad-CAM visualizations for final models (10-20 images each)

# %%
nb.photograph("gradcam_phase4", "Grad-CAM of held-out images by the final models")
runs = nb.runs("phase4b", "phase4b")
regions = ["experiment", "images", "groups", "without_heat", "face_excess", "border_excess", "background_excess"]
nb.table("explain_regions", "attribution on a region less its area", regions, {"experiment": runs})
nb.table("explain_gradcam", "the same by source and verdict", ["source", "verdict", *regions], {"experiment": runs})
nb.findings("explain", "face")

# %% [markdown]
# ## Hard example analysis (false positives/negatives) with visualizations

# %%
nb.photograph("hard_examples", "the errors farthest from their fold's threshold")
columns = ["experiment", "kind", "rank", "sample_id", "source", "probability", "threshold", "margin"]
nb.table("explain_hard_examples", "the worst false positives and negatives; margin: in SD from the threshold", columns)
nb.table(
    "explain_hard_others",
    "how the other models rank the three worst, and whether they are wrong too",
    rows={"rank": [1, 2, 3]},
)
nb.table("explain_errors", "of a model's errors, the share that the others get right", interval="right")
nb.table("explain_agreement", "agreement of each two models: decisions, scores, errors")
nb.findings("explain", "errors", "rescued")

# %% [markdown]
# ## Confidence distribution analysis (histograms)

# %%
nb.figure("explain_confidence", "probability of being fake, by source; orange: high-confidence errors")
columns = ["experiment", "source", "samples", "groups", "errors", "confident", "share"]
nb.table(
    "explain_confident_errors", "errors with a probability of the wrong class above 0.9", columns, interval="share"
)

# %% [markdown]
# ## Cross-validation results (mean ± std with confidence intervals)

# %%
figures = ["experiment", "auc", "auc_all", "chance", "samples", "groups", "repeats"]
nb.table("phase4b_experiments", "held-out AUC with its interval, and over all pairs with its spread", figures)
metrics = ["auc", "average_precision", "accuracy", "balanced_accuracy", "f1_macro", "eer", "tpr_at_fpr_1", "ece"]
nb.spread("phase4b", "mean ± std over folds, at each fold's own threshold", metrics)

# %% [markdown]
# ## Final model comparison and selection
#
# The test set is opened once, for the one model that was selected; its figure alone is free of the choice.

# %%
nb.table("phase4b_tests", "planned contrasts between the finalists", tests)
nb.findings("phase4", "finalist")
nb.decision("final", "the final model")
nb.table("final_test", "the final model on the test set: people whom no run has seen")
nb.figure("final_roc", "test set: ROC with pointwise 95% CI", "final_roc_band")
nb.figure("final_confusion", "test set: confusion matrix at the shipped threshold")
nb.conclusions("final")

# %% [markdown]
# ## Conclusions and recommendations
#
# A recommendation is the sentence that the verdict of its finding calls for.

# %%
nb.conclusions("phase4")
nb.conclude("final", "test", above_chance="Above chance on new people; mind its error rates", otherwise="Do not use it")
nb.conclude("phase4", "scaling", better="Collect more people", otherwise="More of the same people is not shown to help")
smaller = "Not told apart: ship the smaller model"
nb.conclude("phase4", "finalist", better="Ship this one", worse="Ship the other one", otherwise=smaller)
nb.conclude(
    "explain",
    "face",
    above_chance="It looks at the face",
    otherwise="Not shown to look at the face: examine the background",
)

# %%
lower = "Expect a lower AUC on recompressed or blurred images"
nb.conclude("robustness", "loss", key=True, worse=lower, otherwise="Not shown to lose AUC under corruption")
own = "Measure it on your own data before you trust it"
nb.conclude("generalization", "gap", key=True, equivalent="It holds on this data set", otherwise=own)
claim = "It sees more than the measured shortcuts"
nb.conclude("shortcuts", "beyond", key=True, above_chance=claim, otherwise="Do not claim that it sees the forgery")

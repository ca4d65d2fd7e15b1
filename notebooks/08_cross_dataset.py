# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Cross-Dataset Comparison
#
# Comparing model performance across different datasets to understand generalization; below, the study of class
# balancing.
#
# **Questions.** Does the model generalize poorly in general, or is one data set particularly challenging? What makes
# a data set harder? Is it the architecture or the training data? Do mitigations of class imbalance help?
#
# **Hypotheses.** H0: out of domain the AUC is that in domain, up to the region of practical equivalence; H1: it is
# lower. H0: a mitigation changes neither AUC nor F1 by more than that; H1: it does.
#
# The test is the study's own: a delete-one-group jackknife, plus the variance between repeats, Holm-corrected over
# the planned contrasts. A verdict is about a region of practical equivalence, and "undecided" is an answer. Every
# number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("08_cross_dataset")
contrasts = ["baseline", "experiment", "dataset", "difference", "p", "verdict"]

# %% [markdown]
# ## Summary
#
# External detectors enter by their predictions, a row a file. Those that the design names are listed until they are
# here.

# %%
how = "put its predictions into data/predictions and an entry into data/catalog.yaml (see the README there)"
summary = ["dataset", "experiment", "samples", "accuracy", "precision", "recall", "f1", "auc"]
wanted = {"dataset": {"In-The-Wild": how, "Fake-or-Real": how}}
nb.table("generalization_cells", "every detector on every data set", summary, absent=wanted)

# %% [markdown]
# ## In-domain vs out-of-domain

# %%
columns = ["experiment", "trained_on", "dataset", "in_domain", "auc", "balanced_accuracy", "chance"]
nb.table("generalization_cells", "AUC by train set and test set", columns, {"kind": "trained"})
gaps = ["experiment", "dataset", "reference", "difference", "p", "verdict", "samples", "groups"]
nb.table("generalization_gaps", "the generalization gap", gaps, {"metric": "auc"})
nb.figure("generalization_matrix", "AUC by train set and test set", "generalization_cells")

# %% [markdown]
# ## Visualization comparing datasets

# %%
caption = "accuracy and F1 on each data set; diamonds: always predicting the majority class"
nb.figure("generalization_accuracy", caption, "generalization_cells")
nb.figure("generalization_sources", "AUC of each source of fakes against all reals", "generalization_sources")

# %% [markdown]
# ## Does the model generalize poorly in general, or is In-The-Wild particularly challenging?
#
# In-The-Wild itself is answered once its predictions are here; the same question is answered of the data sets that
# are.

# %%
nb.conclusions("generalization", "chance", "gap", "between")
nb.conclude(
    "generalization",
    "gap",
    worse="Worse out of domain",
    equivalent="As good out of domain",
    undecided="Open",
    otherwise="Better out of domain",
)

# %% [markdown]
# ## What characteristics make a dataset harder for the model?

# %%
nb.conclusions("generalization", "fakes", "reals", "source", "threshold")
columns = ["dataset", "feature", "in_domain_median", "out_of_domain_median", "separability", "correlation", "p"]
caption = "features of the reals that differ most; a correlation with the score is no cause"
nb.table("generalization_features", caption, columns, largest=("separability", 16))

# %% [markdown]
# ## Is the issue with the model architecture or training data?

# %%
nb.conclusions("generalization", "architecture", "combined", "target", "fine_tuning")
nb.table("generalization_contrasts", "planned contrasts between recipes", ["question", *contrasts])
nb.figure("generalization_contrasts", "differences in AUC between recipes on each data set", "generalization_contrasts")

# %% [markdown]
# ## Recommendations
#
# The design names three: fine-tuning on diverse data sets, ensembles, and more diverse test sets.

# %%
helps = {"better": "It helps", "worse": "It hurts", "equivalent": "It brings nothing", "undecided": "Open"}
nb.conclude("generalization", "combined", **helps)
nb.conclude("generalization", "fine_tuning", **helps)
nb.conclude("generalization", "ensemble", **helps)
worse = "Evaluate on more diverse test sets before deployment"
nb.conclude("generalization", "gap", worse=worse, otherwise="Evaluate on data of your own use before deployment")

# %% [markdown]
# ## Class balancing: mitigations (focal loss, WeightedRandomSampler, pos_weight)
#
# Real to fake is about 1 to 9 here by subsampling the reals. Each mitigation is compared with plain training.

# %%
columns = ["experiment", "loss", "sampler", "class_ratio", "auc", "train_val_gap", "hardest_source"]
nb.table("imbalance_experiments", "what was trained", columns)
tests = ["question", "experiment", "baseline", "metric", "difference", "p", "verdict"]
nb.table("imbalance_tests", "planned contrasts, Holm-corrected within one question and metric", tests)
nb.conclusions("imbalance", "any", "auc", "f1_tuned")

# %% [markdown]
# ## Class balancing: training progress
#
# Runs that are trained by epochs have curves. A linear head on frozen features, as in the preset `quick`, has none:
# its C is chosen on the inner validation.

# %%
nb.figure("imbalance_training", "training at probability 0.5: mean and SD over folds", "imbalance_history")
nb.table(
    "imbalance_experiments",
    "what each fold chose, and how far training fits what it has seen",
    ["experiment", "monitor", "best_epochs", "train_auc", "validation_auc", "train_val_gap"],
)

# %% [markdown]
# ## Class balancing: threshold tuning

# %%
nb.figure("imbalance_roc", "ROC with pointwise 95% CI, and the operating points", "imbalance_roc_band")
columns = ["experiment", "rule", "probability", "recall_real", "precision_real", "f1_real", "recall_fake", "f1_macro"]
nb.table(
    "imbalance_thresholds",
    "plain training: performance at different thresholds",
    columns,
    {"experiment": "balance_bce"},
)
nb.figure("imbalance_confusion", "confusion matrices at the operating points")
nb.conclude("imbalance", "threshold", better="Tune the threshold", otherwise="Not shown to help: keep the threshold")

# %% [markdown]
# ## Class balancing: expected improvements

# %%
nb.table("imbalance_expectations", "what the design expected, and what was found")
nb.conclusions("imbalance", "expected")
nb.figure("imbalance_decisions", "recall, F1, gap and AUC of each run with 95% CIs", "imbalance")

# %% [markdown]
# ## Class balancing: calibration

# %%
nb.table(
    "imbalance_calibration",
    "before and after temperature scaling",
    ["experiment", "temperature", "ece_before", "ece_after", "ece_floor_after", "log_loss_change"],
)
nb.figure("imbalance_reliability", "share of fakes by predicted probability", "imbalance_reliability")

# %% [markdown]
# ## Conclusions

# %%
nb.conclusions("generalization", key=True)
nb.conclusions("imbalance", key=True)

# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Phase 2: Preprocessing Impact
#
# **Questions.** Does a higher resolution help? Does a face crop? Does augmentation, on whole images and on face
# crops? Do the two interact? Is the model learning shortcuts (size, shape, colour, source)?
#
# **Hypotheses.** For each: H0, the setting changes the AUC by no more than the region of practical equivalence; H1,
# it does. For shortcuts: H0, what has nothing to do with the forgery (shape, colour, the source) does not carry the
# AUC.
#
# The test is the study's own: a delete-one-group jackknife, plus the variance between repeats, Holm-corrected over
# the planned contrasts. A verdict is about a region of practical equivalence, and "undecided" is an answer. Every
# number comes from a table of the study, every conclusion from a finding; nothing is typed in here. The sections
# follow the list of this notebook; the study's tables number them `phase2a` (shortcuts), `phase2b` (resolution),
# `phase2c` (face crop), `phase2d` and `phase2e` (augmentation).

# %%
from deepfake.reports import notebook as nb

nb.start("04_phase2_analysis")
results = ["experiment", "auc", "auc_all", "chance", "samples", "groups", "repeats"]
metrics = ["auc", "average_precision", "balanced_accuracy", "f1_macro", "eer"]
tests = ["experiment", "baseline", "difference", "p", "verdict", "reason", "detectable", "samples", "groups", "repeats"]
gaps = ["experiment", "baseline", "train_val_gap_change"]
variances = ["experiment", "baseline", "source_auc_variance_change"]
regions = ["experiment", "images", "groups", "without_heat", "face_excess", "border_excess", "background_excess"]
moves = ["experiment", "baseline", "difference", "p", "verdict", "border_change", "background_change"]

# %% [markdown]
# ## 2A: Resolution impact (128×128 vs 224×224)
#
# The two sizes are those of the preset; the design's are 128 and 224 px.

# %%
phase2b = nb.runs("phase2", "phase2b")
nb.conclusions("phase2", "resolution")

# %% [markdown]
# ### 5-fold CV results (mean ± std with confidence intervals)

# %%
nb.table("phase2_experiments", "resolution: held-out AUC", results, {"experiment": phase2b})
nb.spread("phase2", "resolution: mean ± std over folds", metrics, {"experiment": phase2b})

# %% [markdown]
# ### Per-source metrics (text2img, inpainting, insight)

# %%
nb.spread("phase2", "resolution: AUC of each source against all reals", ["auc_*"], {"experiment": phase2b})

# %% [markdown]
# ### Statistical significance testing vs baseline

# %%
nb.table("phase2_tests", "resolution: planned contrasts", tests, {"table": "phase2b"})

# %% [markdown]
# ### Grad-CAM visualizations (10-20 images per condition)
#
# The pictures of all conditions stand here, once.

# %%
nb.photograph("gradcam_phase2", "Grad-CAM of held-out images under each condition of phase 2")
nb.table("explain_regions", "resolution: attribution on a region less its area", regions, {"experiment": phase2b})
nb.table("explain_attention_changes", "resolution: how the excess moves", moves, {"table": "phase2b"})
nb.conclusions("explain", "attention.phase2b")

# %% [markdown]
# ### Analysis of train/val gap changes

# %%
nb.table("phase2_tests", "resolution: change of the train/val gap", gaps, {"table": "phase2b"})

# %% [markdown]
# ### Analysis of per-source AUC variance changes

# %%
nb.table("phase2_tests", "resolution: change of the variance between sources", variances, {"table": "phase2b"})

# %% [markdown]
# ## 2B: Facecrop impact
#
# A gain may be a shortcut where the framing alone predicts the label; the finding says so.

# %%
phase2c = nb.runs("phase2", "phase2c")
nb.conclusions("phase2", "face_crop")

# %% [markdown]
# ### 5-fold CV results (mean ± std with confidence intervals)

# %%
nb.table("phase2_experiments", "face crop: held-out AUC", results, {"experiment": phase2c})
nb.spread("phase2", "face crop: mean ± std over folds", metrics, {"experiment": phase2c})

# %% [markdown]
# ### Per-source metrics (text2img, inpainting, insight)

# %%
nb.spread("phase2", "face crop: AUC of each source against all reals", ["auc_*"], {"experiment": phase2c})

# %% [markdown]
# ### Statistical significance testing vs baseline

# %%
nb.table("phase2_tests", "face crop: planned contrasts", tests, {"table": "phase2c"})

# %% [markdown]
# ### Grad-CAM visualizations (10-20 images per condition)
#
# The pictures of all conditions stand in section 2A.

# %%
nb.table("explain_regions", "face crop: attribution on a region less its area", regions, {"experiment": phase2c})
nb.table("explain_attention_changes", "face crop: how the excess moves", moves, {"table": "phase2c"})
nb.conclusions("explain", "attention.phase2c")

# %% [markdown]
# ### Analysis of train/val gap changes

# %%
nb.table("phase2_tests", "face crop: change of the train/val gap", gaps, {"table": "phase2c"})

# %% [markdown]
# ### Analysis of per-source AUC variance changes

# %%
nb.table("phase2_tests", "face crop: change of the variance between sources", variances, {"table": "phase2c"})

# %% [markdown]
# ## 2C: Shortcut analysis (resolution/ratio + color distribution)
#
# First resolution and ratio, then colour, then the sources held out.

# %%
phase2a_geometry = nb.runs("phase2", "phase2a_geometry")
nb.conclusions("phase2", "geometry")

# %% [markdown]
# ### 5-fold CV results (mean ± std with confidence intervals)

# %%
nb.table("phase2_experiments", "shape: held-out AUC", results, {"experiment": phase2a_geometry})
nb.spread("phase2", "shape: mean ± std over folds", metrics, {"experiment": phase2a_geometry})

# %% [markdown]
# ### Per-source metrics (text2img, inpainting, insight)

# %%
nb.spread("phase2", "shape: AUC of each source against all reals", ["auc_*"], {"experiment": phase2a_geometry})

# %% [markdown]
# ### Statistical significance testing vs baseline

# %%
nb.table("phase2_tests", "shape: planned contrasts", tests, {"table": "phase2a_geometry"})

# %% [markdown]
# ### Color distribution

# %%
nb.conclusions("phase2", "colour")
colour = {"experiment": nb.runs("phase2", "phase2a_colour")}
nb.table("phase2_experiments", "normalisation: held-out AUC", results, colour)
nb.spread("phase2", "normalisation: AUC of each source", ["auc_*"], colour)
nb.table("phase2_tests", "normalisation: planned contrasts", tests, {"table": "phase2a_colour"})
nb.table("phase2_tests", "normalisation: change of the gap", gaps, {"table": "phase2a_colour"})
nb.table("phase2_tests", "normalisation: change of the variance", variances, {"table": "phase2a_colour"})

# %% [markdown]
# ### Source holdout and probes
#
# Delta is the design's figure; beside it stands what training on that source brings, on the same samples.

# %%
holdout = ["source", "held_out_auc", "in_source_auc", "delta", "trained_auc", "difference", "p", "verdict"]
nb.table("phase2_holdout", "each source of fakes held out from training", holdout)
nb.table("phase2_bars", "black bars: how far they shift the scores of the same reals, in SD")
probes = ["subject", "level", "name", "auc", "p_holm", "severity", "verdict"]
nb.table("probes", "what predicts the label without a look at the content", probes, {"level": "family"})
nb.figure("shortcuts", "shortcut probes of files and views")

# %% [markdown]
# ### Grad-CAM visualizations (10-20 images per condition)
#
# The pictures of all conditions stand in section 2A.

# %%
nb.table("explain_regions", "shape: attribution on a region less its area", regions, {"experiment": phase2a_geometry})
nb.table("explain_attention_changes", "shape: how the excess moves", moves, {"table": "phase2a_geometry"})
nb.conclusions("explain", "attention.phase2a_geometry")

# %% [markdown]
# ### Analysis of train/val gap changes

# %%
nb.table("phase2_tests", "shape: change of the train/val gap", gaps, {"table": "phase2a_geometry"})

# %% [markdown]
# ### Analysis of per-source AUC variance changes

# %%
nb.table("phase2_tests", "shape: change of the variance between sources", variances, {"table": "phase2a_geometry"})

# %% [markdown]
# ## 2D: Augmentation impact (without facecrop)
#
# Experimental question: does augmentation without a face crop improve or hurt performance?

# %%
phase2d = nb.runs("phase2", "phase2d")
nb.conclusions("phase2", "augmentation", "gap")

# %% [markdown]
# ### 5-fold CV results (mean ± std with confidence intervals)

# %%
nb.table("phase2_experiments", "augmentation of whole images: held-out AUC", results, {"experiment": phase2d})
nb.spread("phase2", "augmentation of whole images: mean ± std over folds", metrics, {"experiment": phase2d})

# %% [markdown]
# ### Per-source metrics (text2img, inpainting, insight)

# %%
nb.spread(
    "phase2", "augmentation of whole images: AUC of each source against all reals", ["auc_*"], {"experiment": phase2d}
)

# %% [markdown]
# ### Statistical significance testing vs baseline

# %%
nb.table("phase2_tests", "augmentation of whole images: planned contrasts", tests, {"table": "phase2d"})

# %% [markdown]
# ### Grad-CAM visualizations (10-20 images per condition)
#
# The pictures of all conditions stand in section 2A.

# %%
nb.table(
    "explain_regions",
    "augmentation of whole images: attribution on a region less its area",
    regions,
    {"experiment": phase2d},
)
nb.table("explain_attention_changes", "augmentation of whole images: how the excess moves", moves, {"table": "phase2d"})
nb.conclusions("explain", "attention.phase2d")

# %% [markdown]
# ### Analysis of train/val gap changes

# %%
nb.table("phase2_tests", "augmentation of whole images: change of the train/val gap", gaps, {"table": "phase2d"})

# %% [markdown]
# ### Analysis of per-source AUC variance changes

# %%
nb.table(
    "phase2_tests",
    "augmentation of whole images: change of the variance between sources",
    variances,
    {"table": "phase2d"},
)

# %% [markdown]
# ## 2E: Augmentation + facecrop combined
#
# Experimental question: does augmentation improve or hurt performance compared to a face crop alone?

# %%
phase2e = nb.runs("phase2", "phase2e")
nb.conclusions("phase2", "augmentation_of_faces", "interaction")

# %% [markdown]
# ### 5-fold CV results (mean ± std with confidence intervals)

# %%
nb.table("phase2_experiments", "augmentation of face crops: held-out AUC", results, {"experiment": phase2e})
nb.spread("phase2", "augmentation of face crops: mean ± std over folds", metrics, {"experiment": phase2e})

# %% [markdown]
# ### Per-source metrics (text2img, inpainting, insight)

# %%
nb.spread(
    "phase2", "augmentation of face crops: AUC of each source against all reals", ["auc_*"], {"experiment": phase2e}
)

# %% [markdown]
# ### Statistical significance testing vs baseline

# %%
nb.table("phase2_tests", "augmentation of face crops: planned contrasts", tests, {"table": "phase2e"})

# %% [markdown]
# ### Grad-CAM visualizations (10-20 images per condition)
#
# The pictures of all conditions stand in section 2A.

# %%
nb.table(
    "explain_regions",
    "augmentation of face crops: attribution on a region less its area",
    regions,
    {"experiment": phase2e},
)
nb.table("explain_attention_changes", "augmentation of face crops: how the excess moves", moves, {"table": "phase2e"})
nb.conclusions("explain", "attention.phase2e")

# %% [markdown]
# ### Analysis of train/val gap changes

# %%
nb.table("phase2_tests", "augmentation of face crops: change of the train/val gap", gaps, {"table": "phase2e"})

# %% [markdown]
# ### Analysis of per-source AUC variance changes

# %%
nb.table(
    "phase2_tests",
    "augmentation of face crops: change of the variance between sources",
    variances,
    {"table": "phase2e"},
)

# %% [markdown]
# ## Comparison tables across all Phase 2 experiments

# %%
columns = ["experiment", "model", "resolution", "geometry", "face_crop", "augmented", "normalization", "holdout"]
nb.table("phase2_experiments", "all runs: conditions", columns)
figures = ["experiment", "auc", "train_val_gap", "source_auc_sd", "hardest_source", "balanced_accuracy", "ece"]
nb.table("phase2_experiments", "all runs: figures", figures)
nb.figure("phase2_differences", "differences in AUC; the band is the region of practical equivalence", "phase2_tests")
nb.figure("phase2_sources_heatmap", "AUC by run and source", "phase2_experiments")
nb.figure("explain_attention_changes", "how attribution moves from condition to condition")

# %% [markdown]
# ## Overall conclusions: Which preprocessing choices work best and why

# %%
simpler = "Not shown to help: the simpler setting stays"
nb.table("phase2_decision", "each factor: its gain, and whether it counts")
nb.conclude("phase2", "resolution", better="Take the higher resolution", otherwise=simpler)
nb.conclude("phase2", "face_crop", better="A face crop raises the AUC; its note counts too", otherwise=simpler)
nb.conclude("phase2", "augmentation", better="Augment whole images", otherwise=simpler)
nb.conclude("phase2", "augmentation_of_faces", better="Augment face crops", otherwise=simpler)

# %% [markdown]
# ## Overall conclusions: Are shortcuts being learned (resolution, color distribution)?

# %%
nb.conclusions("phase2", "geometry", "colour", "sources", "source")
nb.conclusions("shortcuts")
nb.conclude(
    "shortcuts",
    "beyond",
    above_chance="The detector sees more than these shortcuts",
    undecided="It cannot be told from its shortcuts",
    otherwise="It sees no more than its shortcuts",
)

# %% [markdown]
# ## Overall conclusions: Does augmentation remove shortcuts or over-regularize?
#
# The design's rule: where the train/val gap and the variance between sources both fall, shortcuts are removed. Where
# the AUC falls without that, augmentation over-regularizes. An interval that includes 0 decides neither.

# %%
nb.table("phase2_shortcuts", "with and without augmentation: training, held-out, gap, each source, variance")
nb.figure("phase2_shortcuts", "what augmentation changes; full markers: the interval excludes 0", "phase2_shortcuts")

# %%
nb.conclude("phase2", "gap", better="The gap narrows", undecided="Open", otherwise="The gap does not narrow")
costs = {"worse": "It costs AUC", "better": "It raises the AUC", "equivalent": "It leaves the AUC"}
nb.conclude("phase2", "augmentation", undecided="Its effect on the AUC is open", **costs)
nb.conclude("phase2", "augmentation_of_faces", undecided="Its effect on the AUC is open", **costs)
nb.conclude("robustness", "contrast", key=True, undecided="Under corruption: open", **costs)

# %% [markdown]
# ## Overall conclusions: Recommendations for Phase 3 (best preprocessing settings)

# %%
nb.decision("phase2", "what phase 3 goes on with")
nb.table("phase2_decision", "why: what was chosen, and what was refused", ["factor", "gain", "chosen", "refused"])

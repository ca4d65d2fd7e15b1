# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Grad-CAM Deep Dive
#
# **Questions.** Where do detectors look: at the face, at its border, at the background? Does that change when images
# are cropped to the face or augmented? Do features separate real from fake, or one source from another?
#
# **Hypotheses.** H0: the share of attribution on a region is its share of the area. H0: preprocessing does not move
# it. H0: maps of a randomised model look the same (the sanity check of Adebayo et al., 2018); then no map means
# anything.
#
# The test is the study's own: a delete-one-group jackknife, plus the variance between repeats, Holm-corrected over
# the planned contrasts. A verdict is about a region of practical equivalence, and "undecided" is an answer. Every
# number comes from a table of the study, every conclusion from a finding; nothing is typed in here.

# %%
from deepfake.reports import notebook as nb

nb.start("07_gradcam_deep_dive")

# %% [markdown]
# ## Comprehensive Grad-CAM analysis across all phases and models

# %%
regions = ["experiment", "images", "groups", "without_heat", "face_excess", "border_excess", "background_excess"]
nb.table("explain_regions", "all runs: attribution on a region less its area", regions)
nb.figure("explain_regions", "share of the attribution on face, border and background, by run")
nb.table("explain_gradcam", "the same by source and verdict", ["source", "verdict", *regions])

# %%
nb.photograph("gradcam_phase1", "phase 1: the same images by each model")
nb.photograph("gradcam_phase2", "phase 2: the same images under each condition")
nb.photograph("gradcam_phase3", "phase 3: the same images by each architecture")
nb.photograph("gradcam_phase4", "phase 4: the same images by the final models")

# %% [markdown]
# ## Sanity checks: do maps depend on what was learned?
#
# Rank correlation of a model's maps with those of a twin: trained again, with a random head, or random
# throughout. Maps of a trained twin should agree, those of a random one should not. Deletion: painting over what a map
# marks should lower the score sooner than painting over random places.

# %%
nb.table("explain_sanity", "maps against those of retrained and of randomised models", interval="correlation")
nb.findings("explain", "sanity")
nb.figure("explain_deletion", "score while the most attributed places are painted over, against other orders")
area = ["experiment", "order", "area", "difference", "p", "verdict", "samples", "groups"]
nb.table("explain_deletion_area", "area under that curve, against a random order", area)
nb.findings("explain", "deletion")

# %% [markdown]
# ## Feature visualization for different model architectures (CNN vs EfficientNet vs ConvNeXt)
#
# ConvNeXt belongs to the preset `full`; what was explained is named in the pictures.

# %%
nb.figure("explain_filters", "filters of the first layer, before and after training")
nb.table("explain_filters", "how far training moved them; high: share of their power at high frequencies")
nb.photograph("feature_maps", "maps of the middle layers for one image of each source")
nb.figure("explain_embedding", "features before the last layer in two dimensions, by source and class")
nb.table("explain_neighbours", "what nearest neighbours say of class and source, against chance", interval="accuracy")
nb.findings("explain", "sources")

# %% [markdown]
# ## Comparison of what different models focus on (face regions, backgrounds, artifacts)
#
# Face, border and background are measured from the face boxes. Artifacts have no box: a model that looks for them
# shows attribution on the border (where a face was pasted) or the background.

# %%
columns = ["source", "experiment", "images", "groups", "face_excess", "border_excess", "background_excess"]
nb.table("explain_gradcam", "all images of a run and source", columns, {"verdict": "all"})
nb.findings("explain", "face")
nb.figure("explain_agreement", "agreement of each two models: decisions, scores, errors")

# %% [markdown]
# ## Evidence of shortcut removal (or lack thereof) across phases

# %%
nb.table("phase2_shortcuts", "augmentation: gap, sources and their variance")
nb.conclusions("phase2", "gap", "geometry", "sources")
nb.conclusions("shortcuts", "framing", "beyond")
columns = ["experiment", "view", "leak", "auc", "r2", "matched_auc", "residual_auc", "pairs"]
nb.table("shortcuts_runs", "how much of the scores the shortcuts explain; matched: pairs that look alike", columns)

# %% [markdown]
# ## Temporal analysis: does model attention change with different preprocessing?
#
# "Temporal" is meant from condition to condition, along the study: the same images, explained before and after one
# change. A row is a planned contrast; the change is that of a region's share of the attribution.

# %%
moves = ["table", "experiment", "baseline", "difference", "p", "verdict", "border_change", "background_change"]
nb.table("explain_attention_changes", "change of the excess on the face, the border and the background", moves)
nb.figure("explain_attention_changes", "the same as a forest plot; band: the region of practical equivalence")
nb.conclusions("explain", "attention")

# %% [markdown]
# ## Visual explanations suitable for presentation
#
# All figures are vector graphics in one style, readable without colour, with their numbers beside them; this
# notebook's folder holds them by number. Pictures of photographs stay on this machine.

# %%
nb.figure("explain_confidence", "probability of being fake, by source; orange: high-confidence errors")
nb.photograph("hard_examples", "the errors farthest from their fold's threshold")

# %% [markdown]
# ## Conclusions

# %%
nb.conclusions("explain", "face", "sanity", "deletion", "sources")
nb.conclude(
    "explain",
    "face",
    above_chance="It looks at the face more than its area explains",
    undecided="Open",
    otherwise="It looks at the face no more than its area explains",
)

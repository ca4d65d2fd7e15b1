"""The comparison across data sets: what detectors are worth on data that they were not trained on."""

"""The report as a site: a start page, the studies' pages, and a page a model, a data set and a run."""

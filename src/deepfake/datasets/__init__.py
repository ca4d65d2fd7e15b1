"""From raw files to the manifest: catalog, sample, ingest, splits."""

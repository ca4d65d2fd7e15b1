"""The site: the report that people look at."""

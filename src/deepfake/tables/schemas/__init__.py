"""The schemas of the result tables, by what writes them."""

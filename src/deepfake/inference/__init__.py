"""Verdicts on files of one's own: found, read, decoded, judged by the run that is asked."""

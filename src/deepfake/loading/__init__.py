"""From files to batches: decoding once, then index lists over an array in memory."""

"""Speech: recordings against copies of the same words by vocoders, and what holds for a vocoder that nobody saw."""

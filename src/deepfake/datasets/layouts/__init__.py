"""How the files of a data set lie: which are samples, what their place tells, and which layouts are known."""

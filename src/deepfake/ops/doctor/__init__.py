"""What a run needs of this machine, looked at part by part; every part works when the others are broken."""

"""What lies between a file and an array, one folder a modality, all behind the protocol of `base`."""

"""How independent jobs are carried out: by processes of this machine."""

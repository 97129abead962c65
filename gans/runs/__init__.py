"""The folder of a run and what lies in it: checkpoints with checksums, packed models, and gans.load."""

"""The folder of a run and its contents: checkpoints with checksums, packed models, and gans.load."""

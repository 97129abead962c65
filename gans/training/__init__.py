"""The training loop, its reports, and the checks that a run is still healthy."""

"""Data sets: what one is, where they come from (sources/), in which order and how they reach the device."""

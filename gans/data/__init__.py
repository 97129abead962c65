"""Data sets: what one is, where they come from (sources/), their order, and how they reach the device."""

"""The loop, what a person sees of it, and whether it is still healthy."""

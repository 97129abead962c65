"""Generative adversarial networks in JAX and Flax: from the paper to a fast, resumable training run."""
__version__ = '0.1.0'

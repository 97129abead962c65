"""One file per GAN; `config.algorithm` names the file, and its `make_algorithm` makes the `Algorithm`."""

"""Families of networks; `config.generator.family` and `config.critic.family` name the file.

Each file has a `Generator`, (z [B,Z] float, label [B] int, *, train) -> images [B,...] float32, and a `Critic`,
(image [B,...] float, label [B] int, *, train) -> scores [B] float32. Their fields are the config's fields.
"""

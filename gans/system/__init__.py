"""What is not about GANs: disk, cache, processes, signals, pictures, records."""

"""Latent arithmetic on groups of samples, such as glasses - no_glasses + smiling, and how often it succeeds."""

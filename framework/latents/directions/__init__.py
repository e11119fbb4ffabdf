"""Directions in latent space: their definition, files, and the methods that find them."""

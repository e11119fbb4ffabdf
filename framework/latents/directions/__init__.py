"""Directions in latent space: what they are, how they are found and kept."""

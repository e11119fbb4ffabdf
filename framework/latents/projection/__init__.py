"""Projection of photographs to latents, and projected latents as starting points of other studies."""

"""Studies of the latent space: walks, arithmetic, directions, projection of photographs and maps of codes."""

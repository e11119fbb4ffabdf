"""Studies of the latent space: walks between latents, and arithmetic with groups of them."""

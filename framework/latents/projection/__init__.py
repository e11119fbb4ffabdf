"""From a photograph to the latent whose image is nearest, and latents as starting points of other studies."""

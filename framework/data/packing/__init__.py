"""Decodes the files of a source on all cores, and packs them into one store of uint8 images."""

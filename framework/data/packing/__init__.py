"""From the files of a source to one packed store of uint8 images, on all cores."""

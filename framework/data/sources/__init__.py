"""Where images come from: folders, archives, MNIST and drawn faces, with their labels."""

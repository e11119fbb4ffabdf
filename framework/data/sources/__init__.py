"""Sources of images and labels: folders, archives, MNIST and drawn faces."""

"""Groups of samples, expressions of groups, and shares of images that show an attribute."""

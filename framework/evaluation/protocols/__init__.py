"""What a score was made of: the families of metrics, and the protocol that travels with each score."""

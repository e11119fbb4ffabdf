"""What a score was made of: the metrics, and the protocol that travels with each score."""

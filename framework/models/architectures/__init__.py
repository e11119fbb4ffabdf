"""The networks: one module an architecture."""

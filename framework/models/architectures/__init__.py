"""The networks, one module per architecture."""

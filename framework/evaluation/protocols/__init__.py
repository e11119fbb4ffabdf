"""The protocol that describes how a score was computed and is stored with it, and the named protocols."""

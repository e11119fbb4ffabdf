"""Training of the two assessors."""

"""Moves samples along directions, and measures how their attributes change."""

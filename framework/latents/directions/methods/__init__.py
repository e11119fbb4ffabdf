"""The methods that find directions, one per module."""

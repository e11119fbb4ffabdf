"""The methods that find directions, one a module."""

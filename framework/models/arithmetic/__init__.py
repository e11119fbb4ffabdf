"""Arithmetic of networks: blocks of fixed size, reproducible results, bfloat16, and faster forms of some layers."""

"""Pools of Ray tasks and actors that compute shards, and what their processes keep loaded."""

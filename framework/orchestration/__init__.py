"""The only package that imports Ray: clusters, trials, searches, scores and latent studies.

Import from its modules, not from here: the processes of a trial start faster if they import only what they need.
"""

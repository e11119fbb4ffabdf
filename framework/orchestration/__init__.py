"""The only importer of Ray: clusters, trials, the search over them, scores and latent artifacts as Ray work.

Import from its modules: a trial's processes start with as few of them as they need.
"""

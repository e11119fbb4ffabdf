"""What decides a search, from files and without Ray: the space, the sampler, early stopping and the leaderboard."""

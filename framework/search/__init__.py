"""The decisions of a search, made from files and without Ray: space, sampler, early stopping, repeats, leaderboard."""

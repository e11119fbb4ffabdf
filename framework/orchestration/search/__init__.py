"""A search as Ray Tune runs it: which trials start, which are ended, and what people see of them."""

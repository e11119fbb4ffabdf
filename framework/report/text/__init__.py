"""Numbers, times and labels as the pages write them."""

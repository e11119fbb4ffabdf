"""From features to the values of metrics: features and moments are kept in files, the parts computed by a pool."""

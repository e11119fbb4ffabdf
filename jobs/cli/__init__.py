"""What all jobs share: the command line, the context they run in, forecasts and tables."""

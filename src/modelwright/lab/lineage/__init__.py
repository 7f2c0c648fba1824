"""Where a number comes from: source, configuration, data, environment and hardware, recorded and compared."""

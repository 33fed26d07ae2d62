"""What fills a trace: the protocol, linear interpolation, NMAR, learned models."""

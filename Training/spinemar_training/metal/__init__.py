"""The metal network: simulated scans whose true metal is known, its training and its export."""

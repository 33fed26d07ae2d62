"""The demonstration: metal put into the sample CT, scanned, corrected and compared."""

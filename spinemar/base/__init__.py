"""What every room stands on: files that appear whole, locks, checked JSON, the machine."""

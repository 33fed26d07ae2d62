"""Stores of pairs to other groups' code and back: exports, and stores put together."""

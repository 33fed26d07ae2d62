"""Simulated scans on the GPU: anatomy, implants, scanner and classical correction in PyTorch."""

"""What the module MetalArtifactReduction is made of.

Logic takes the scene and its nodes as arguments and knows neither Qt nor the global scene; only
`widget` and the two panels beside it do.
"""

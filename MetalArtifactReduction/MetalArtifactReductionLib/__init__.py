"""What the module MetalArtifactReduction is made of.

Logic takes the scene and its nodes as arguments and knows neither Qt nor the global scene; only
`panel` and the module's own file do. What the other module needs too lies in `SpineMARLib`.
"""

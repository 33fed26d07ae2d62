"""How well implants lie: breaches, bone density, collisions."""

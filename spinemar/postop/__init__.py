"""After the operation: find the implants of a CT, fit them, and grade the screws.

From the metal's share of each voxel and the vertebrae: `metal_share` looks at the metal, `shanks`
finds what is a screw in it, `fit` says where exactly it lies and how thick it is, `construct` finds
what is behind and between, `bone` says how sure the bone is and from where, `grades` grade with an
interval, `find` is all of it in a row.
"""

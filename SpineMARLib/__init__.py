"""What the Slicer modules of SpineMAR share: jobs in a worker, nodes of a scene, parts of panels.

It lies beside the modules where the extension is installed, and one folder up in a checkout, as the
core `spinemar` does. `panel` knows Qt and the running application; the rest takes what it needs.
"""

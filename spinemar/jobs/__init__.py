"""Long jobs in a process of their own: a worker, its protocol, and the side that starts it.

A worker is started as ``python -m spinemar.jobs.worker JOB.json``. It prints JSON lines on stdout
(`engine.protocol`), writes results beside their target and renames them
(`spinemar.base.atomic_files`), and stops when asked on stdin, by a signal, or because its parent
is gone.
"""

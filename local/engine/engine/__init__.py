"""The local AWS engine: MiniStack with the gaps that matter here closed.

`launch.py` beside this package is the way in; README.md lists every gap and the module that closes it.
"""

"""The local AWS engine: MiniStack, with the differences from AWS that matter here removed.

`launch.py` starts it. README.md lists every difference and the module that removes it.
"""

"""
One verb a file, a click command of the file's name; `kubectl_ml.cli` puts them together.

What two verbs share belongs beside this package, not in it.
"""

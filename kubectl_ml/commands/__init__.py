"""One verb a file; `kubectl_ml.cli` puts them together."""

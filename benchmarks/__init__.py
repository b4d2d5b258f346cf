"""Published matrices and studies; run them from the checkout, `python -m benchmarks.why.study`."""

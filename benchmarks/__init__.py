"""Published matrices and studies, run from the checkout: `python -m benchmarks.why.study`."""

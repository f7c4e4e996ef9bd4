"""Benchmarks; each module states what it measures, and its results are in results/."""

"""How fast, how much, how faithful: ``python -m benchmarks [name ...] [options]``, or ``./dev bench``.

Each module here is a benchmark with ``main(arguments) -> exit code``; what they share is in ``support``.
"""

"""How much CPU time requests cost, as ratios to a naive program and to a hand-written floor; ``python -m benchmarks``.

Ratios measured in one run hold on any machine; milliseconds do not. ``docs/performance.md`` has figures and method.
"""

"""The gas of each operation of a vault, beside what the peers' cost.

make bench            measure on anvil, write benchmarks/gas.json, print the table
python -m benchmarks.gas --json
"""

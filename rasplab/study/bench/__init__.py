"""Many models at once: sweeps of training, benchmarks of methods, calibration of verdicts.

sweep, executors, sweep_tables                    a specification -> records -> a table
across_seeds                                      a Recipe and seeds -> verdicts on every seed
discovery_bench, discovery_tables, acdc_tables    discovery methods on models with a known circuit
calibration, planted, edited_heads                verdicts on models whose heads are known
superposition                                     a Compiled -> the same in fewer dimensions
"""

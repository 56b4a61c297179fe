"""The compiler: a RASP program and a finite domain become transformer weights, exact on the domain.

`compile_program` (pipeline.py) runs four stages. Each is a function of what the one before gives:

  infer     (Program, Domain) -> ValueSets               infer/value_sets.py
            For every s-op the values it can take at every length and position: a superset of what
            occurs, empty nowhere. Refuses what has too many values to tell apart.
  lower     (ValueSets, basis) -> Lowered                lower/lower.py
            Heads, neurons and logits as linear forms over named residual directions. Whatever is
            read was written in an earlier half layer; a certificate bounds the numerical error
            below half the distance of any two output values. Refuses what no dtype can hold.
  place     Lowered -> Layout                            layout/place.py
            What the logits depend on gets a layer, a head or neuron index and a residual
            dimension, each place once; the rest is dropped. Nothing is refused.
  assemble  (Layout, Domain) -> Weights                  layout/assemble.py
            Dense float64 arrays of the layout's shape, all finite. Refuses what does not fit
            into memory.

Where the value sets leave open whether some input is illegal, legality.py runs inputs. The result
is a `Compiled` (compiled.py): it keeps layout, certificate and weights. In the tests a check of
these guarantees runs after every stage (stage_checks.py). Beside the stages: inspect/ (results as
text), transforms.py (the same function in other weights), serialize.py (files).
"""

STAGES = ("infer", "lower", "place", "assemble")
"""The stages in order; pipeline.STAGE_FUNCTIONS holds the functions."""

STAGE_VIEWS = (*STAGES, "encode")
"""What `Compiled.stage` and `rasplab compile --stage` show: the result of each stage, and "encode".

"encode" is the decisions that lowering took, with what each alternative would have cost.
"""

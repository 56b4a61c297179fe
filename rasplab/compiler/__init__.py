"""The compiler: a RASP program and a finite domain become transformer weights that say what the
interpreter says.

The stages, in order:
  infer     which values every s-op can take, at every length and position
            infer.py, over values.py, widths.py, sums.py, order.py
  lower     s-ops to linear forms, heads and neurons over named directions
            lower.py, over attend.py, codes.py, join.py, hinges.py, tables.py
  read out  the outputs to logits                                    readout.py
  place     what is needed gets a layer, a head, an index            place.py
  assemble  the layout to dense arrays                               assemble.py
`normalize.py` holds the normal forms of selectors, `forms.py` the residual stream that lowering
designs; `disguise.py` gives the same function in other weights.
"""

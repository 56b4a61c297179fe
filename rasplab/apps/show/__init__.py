"""Pictures and pages. The types that are drawn know nothing of these modules; read them in order.

  svg, html          building blocks
  layered_layout     where the boxes and lines of a layered drawing go
  patterns, circuit, program, heads, sweeps    a picture of a matrix, a circuit, a computation, ...
  circuit_overlay, side_by_side                several of these together
  displays, report   what a notebook shows of each type; the page of the demo
"""

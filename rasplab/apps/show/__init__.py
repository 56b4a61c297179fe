"""Pictures and pages of programs, circuits, models and studies, in the order to read them.

- svg, html: building blocks
- layered_layout: where the boxes and lines of a layered drawing go
- patterns, circuit, program, heads, sweeps: a picture of a matrix, a circuit, a computation, ...
- circuit_overlay, side_by_side: several of these together
- displays, report: what a notebook shows of each type; the page of the demo

The types that are drawn do not import these modules.
"""

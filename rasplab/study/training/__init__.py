"""Training: recipes and tasks in, small transformers out.

trainer    a Recipe -> a LensModel that gives the interpreter's answers
supervise  the loss that makes heads attend as selectors do
siit       a Realistic -> a LensModel with the circuit of a compiled one
siit_zoo   the models of that kind that are shipped
"""

"""Discovery methods: each takes a Problem and gives a score per unit [unit]."""

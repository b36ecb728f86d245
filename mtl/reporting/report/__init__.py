"""The report of runs: one page for one run or several, made of what their folders hold."""

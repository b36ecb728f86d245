"""Pages to look at without network: one file of HTML each, made of templates.

A template in ``templates/`` extends ``base.html``, which brings the style, and imports the macros
of ``parts.html``: tables, bars, histograms, matrices. What they draw is measured in
:mod:`mtl.reporting.pages.charts`, so that templates do not compute.
"""

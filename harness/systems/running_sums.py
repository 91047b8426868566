"""The rules of `Running` that combine many entries: sums, products, maxima, contractions, sorts, scatters."""


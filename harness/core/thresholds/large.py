"""These numbers say how many entries arrays may have in all, where a single point is large."""

FEWEST = 2
"""Points that are judged however large they are."""
BATCH_ENTRIES = 2**22
"""Entries of all points that are evaluated at once: 32 MiB for each intermediate of the code in float64."""
DRAWN_ENTRIES = 2**24
"""Entries of the bulk points of one property and format: a simple rule takes about a microsecond an entry.

Of points with more than 1,677 entries there are fewer than 10,000."""
DIFFERENCES_ENTRIES = 2**19
"""Entries of the points of one batch at which differences are taken: each takes a dozen evaluations."""
OTHER_ENTRIES = 2**22
"""Entries of the points of any other source: special, planted and extreme ones."""
EXACT_ENTRIES = 2**21
"""Entries of the points that meet the exact layer, in one batch: 3 microseconds an entry and operation."""
EXACT_AT_ONCE = 2**18
"""Entries that the exact layer evaluates at once: a ball takes a hundred bytes."""
DRAWN_ONE_BY_ONE, SHRUNK_ONE_BY_ONE = 256, 2048
"""Entries of a point up to which Hypothesis draws it, and shrinks it: every entry is a choice of its own."""
LOCALISED = 512
"""Entries of a VJP up to which it is computed entry by entry; a refusal of a larger one halves them to the last one."""

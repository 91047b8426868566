"""Drawing settles the points of a property: sizes, special points, examples of Hypothesis, bulk, and the user's own."""

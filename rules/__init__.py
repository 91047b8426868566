"""Rules state the documented theorems, one module per source module, and hold the catalogue that they cover."""

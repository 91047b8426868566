"""Reports of a run: tables, HTML, JUnit, summaries, and the gate. They read stored results only."""

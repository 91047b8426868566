"""A campaign judges many subjects with many workers, keeps what is finished, and survives interruptions."""

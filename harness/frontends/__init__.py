"""Front ends turn code into a program, or into calls where no program can be had."""

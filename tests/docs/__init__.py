"""The documents say what is so: their code runs, their tables are those of the program, their links lead somewhere."""

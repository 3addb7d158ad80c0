"""Fuzzing: a reader gives a result or an InputError, in bounded time and memory, whatever bytes it is handed."""

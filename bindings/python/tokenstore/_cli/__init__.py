"""The command line. docs/reference/cli.md describes it.

A module of this package has some of the commands, each a function that takes the parsed options, prints to
stdout, and returns whether it found what it was asked for. It is imported when one of them runs. A token is never
read from the command line, which all users of the machine can see.
"""

"""`python -m metalwright`."""

from metalwright.cli import main

main()

"""`python -m meter`."""

from meter.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m meter")

"""Runs the unittest cases of the program that calls it; ends as every suite here ends."""
import sys
import unittest


def main():
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"{max(result.testsRun - bad - skipped, 0)} passed, {bad} failed, {skipped} skipped",
          flush=True)
    sys.exit(1 if bad or not result.testsRun else 0)

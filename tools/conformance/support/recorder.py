"""A unittest result that writes each test's outcome to the file named by CONFORMANCE_RESULTS, at once, so that
nothing is lost when a suite is stopped. As a program: `recorder.py NAME...` runs these unittest names."""

import json
import os
import sys
import unittest


class RecordingResult(unittest.TextTestResult):
    """What [`unittest`] reports, as lines of JSON."""

    def record(self, test, outcome, message=""):
        with open(os.environ["CONFORMANCE_RESULTS"], "a") as out:
            out.write(json.dumps({"test": test.id(), "outcome": outcome, "message": message[-4000:]}) + "\n")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.record(test, "passed")

    def addError(self, test, err):
        super().addError(test, err)
        self.record(test, "failed", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.record(test, "failed", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.record(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.record(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.record(test, "failed", "unexpected success")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.record(test, "failed", self._exc_info_to_string(err, test))


def main():
    sys.path.insert(0, os.getcwd())
    suite = unittest.TestLoader().loadTestsFromNames(sys.argv[1:])
    wanted = os.environ.get("CONFORMANCE_ONLY")
    if wanted:
        suite = unittest.TestSuite(test for test in flat(suite) if wanted in test.id())
    unittest.TextTestRunner(resultclass=RecordingResult, verbosity=2).run(suite)


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


if __name__ == "__main__":
    main()

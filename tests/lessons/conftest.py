"""The log of the proxy is shown when a test fails."""

from tests.support.stage import pytest_runtest_makereport as pytest_runtest_makereport

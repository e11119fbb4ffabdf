"""Reports: the results of a run, read from its folder and shown on one page that opens without a network."""

from framework.report.read.run import Results, Trial, read_results
from framework.report.run_page.page import render, write_report

__all__ = ["Results", "Trial", "read_results", "render", "write_report"]

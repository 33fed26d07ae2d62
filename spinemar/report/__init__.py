"""A report of a correction that opens anywhere: one HTML file, pictures inside."""

from spinemar.report.content import ReportContent, ReportedCorrection
from spinemar.report.page import REPORT_NAME, check_report_tools, write_report

__all__ = [
    "REPORT_NAME",
    "ReportContent",
    "ReportedCorrection",
    "check_report_tools",
    "write_report",
]

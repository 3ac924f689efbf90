"""The report site: a folder of pages about one or several runs; see docs/design/reports.md."""

from metalwright.reports.site.write import INDEX, SITE_FOLDER, write_site

__all__ = ["INDEX", "SITE_FOLDER", "write_site"]

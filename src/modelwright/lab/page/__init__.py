"""The report as a page: facts from the journal, drawings, and the template that joins them."""

"""Notices and invoices: their data, and what people see."""

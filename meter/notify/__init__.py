"""Notices and invoices as people read them: subjects, texts, HTML, mails and PDF files.

No worker of the meter's stages imports this package: the template and PDF libraries load when a command needs them.
"""

"""A KMS for development and CI: moto's, with ``Recipient`` added as AWS has it. It guards nothing.

Three files: what a document proves (``document``), what a key's policy says (``policy``), and the server (``front``).
None of them shares code with the production verifier.
"""

"""Enclave image files (EIF): written, read and measured here, without AWS's tools.

The format is that of aws-nitro-enclaves-image-format, version 4: a header of 548 bytes, then sections, each with a
header of 12. All numbers are big-endian. What an enclave is trusted for are its measurements (``measures``); this
package lets anybody compute them from a file, or from the inputs of a file.
"""

"""Verifies a Synod receipt with the package ccf, which shares no code with Synod.

Usage: verify-receipt.py RECEIPT SERVICE_CERTIFICATE CLAIMED_BYTES_HEX
The receipt must claim the SHA-256 digest of the claimed bytes. Prints the receipt's protected header; ends with status 1 if anything is wrong.
"""

import sys
from hashlib import sha256

from ccf.cose import verify_receipt
from cryptography.x509 import load_pem_x509_certificate

receipt_file, certificate_file, claimed = sys.argv[1:]
with open(certificate_file, "rb") as file:
    key = load_pem_x509_certificate(file.read()).public_key()
with open(receipt_file, "rb") as file:
    receipt = file.read()
print(verify_receipt(receipt, key, sha256(bytes.fromhex(claimed)).digest()))

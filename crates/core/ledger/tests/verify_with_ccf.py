"""Verifies Synod's receipts with the Python package `ccf`.

Reads lines from standard input: first the service's public key (PEM, as one JSON string), then cases
{"name": .., "receipt": hex, "claims": hex, "valid": bool}. Ends with status 1 if any case comes out otherwise.
"""

import json
import sys
import warnings

import ccf.cose
import ccf.receipt
from cryptography.hazmat.primitives.serialization import load_pem_public_key

warnings.simplefilter("ignore", DeprecationWarning)
key = load_pem_public_key(json.loads(sys.stdin.readline()).encode())
cases = wrong = 0

for line in sys.stdin:
    case = json.loads(line)
    cases += 1
    for verify in (ccf.receipt.verify_cose, ccf.cose.verify_receipt):
        try:
            verify(bytes.fromhex(case["receipt"]), key, bytes.fromhex(case["claims"]))
            outcome, why = True, "accepted"
        except Exception as refused:
            outcome, why = False, f"refused: {type(refused).__name__}: {refused}"
        if outcome != case["valid"]:
            wrong += 1
            print(f"{case['name']}: {verify.__name__} {why}", file=sys.stderr)

print(f"{cases} receipts, {wrong} wrong outcomes")
sys.exit(1 if wrong or not cases else 0)

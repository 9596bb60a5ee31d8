"""What http_ece and py_vapid, on which pywebpush stands, make of what pushcast makes. JSON in, JSON out."""

import base64
import json
import sys

import http_ece
import py_vapid
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def private_key(scalar):
    return ec.derive_private_key(int.from_bytes(decode(scalar), "big"), ec.SECP256R1())


def public_key(key):
    form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return encode(key.public_key().public_bytes(*form))


def decrypt(ask):
    keys = {"private_key": private_key(ask["private"]), "auth_secret": decode(ask["auth"])}
    if ask["encoding"] == "aesgcm":
        keys |= {"dh": decode(ask["dh"]), "salt": decode(ask["salt"])}
    return encode(http_ece.decrypt(decode(ask["body"]), version=ask["encoding"], **keys))


def encrypt(ask):
    sender = ec.generate_private_key(ec.SECP256R1())
    keys = {"dh": decode(ask["p256dh"]), "auth_secret": decode(ask["auth"]), "private_key": sender}
    if ask["encoding"] == "aesgcm":
        keys["salt"] = decode(ask["salt"])
    body = http_ece.encrypt(decode(ask["text"]), version=ask["encoding"], **keys)
    return {"body": encode(body), "dh": public_key(sender)}


def verify(ask):
    token, key = (part.split("=", 1)[1] for part in ask["authorization"].removeprefix("vapid ").split(", "))
    return py_vapid.Vapid02.verify(f"vapid t={token},k={key}")


def read_key(ask):
    read = {"pem": py_vapid.Vapid02.from_pem, "der": py_vapid.Vapid02.from_der, "raw": py_vapid.Vapid02.from_raw}
    return public_key(read[ask["form"]](ask["key"].encode()).private_key)


def make_key(_):
    vapid = py_vapid.Vapid02()
    vapid.generate_keys()
    return {"pem": vapid.private_pem().decode(), "public": public_key(vapid.private_key)}


ask = json.load(sys.stdin)
json.dump(globals()[ask["do"]](ask), sys.stdout)

"""Runs pywebpush, and its foundations http_ece and py_vapid, for comparison. Reads JSON and writes JSON."""

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


def attempt(do):
    """The result, or the exception's name and text: an error in one case must not end the others."""
    try:
        return {"result": do()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def webpush(ask):
    """Calls pywebpush's function for each case. REQUESTS_CA_BUNDLE names the trusted certificates."""
    import pywebpush

    def one(case):
        data, claims = case["data"], case["vapid_claims"]
        answer = pywebpush.webpush(**case | {"data": None if data is None else decode(data)})
        return {"curl": answer} if case.get("curl") else {"status": answer.status_code, "claims": claims}

    return [attempt(lambda: one(case)) for case in ask["cases"]]


def command(ask):
    """Runs pywebpush's command for each case, with that case's arguments."""
    import contextlib
    import logging

    from pywebpush import __main__ as program

    def one(arguments):
        sys.argv = ["pywebpush", *arguments]
        # It prints the answer to standard output, where our JSON must stand alone.
        with contextlib.redirect_stdout(sys.stderr):
            config = program.get_config()
            program.webpush(
                config.sub_info, data=config.data, vapid_private_key=config.key, vapid_claims=config.claims,
                curl=config.curl, content_encoding=config.encoding, verbose=config.verbose, headers=config.head,
            )

    # It raises every error that it prints.
    logging.disable()
    return [attempt(lambda: one(arguments)) for arguments in ask["cases"]]


def encode_for(ask):
    """The body and headers of WebPusher.encode."""
    import pywebpush

    encoded = pywebpush.WebPusher(ask["subscription"]).encode(decode(ask["text"]), ask["encoding"])
    text = {name: encoded[name].decode() for name in ("salt", "crypto_key") if name in encoded}
    return text | {"body": encode(encoded["body"])}


def inventory(_):
    """Every public name of pywebpush with its parameters, and every flag of its command."""
    import argparse
    import inspect

    import pywebpush
    from pywebpush import __main__ as program

    names = set()
    for name, thing in vars(pywebpush).items():
        if getattr(thing, "__module__", None) != "pywebpush":
            continue
        names.add(name)
        if name == "CaseInsensitiveDict":
            continue
        members = vars(thing).items() if inspect.isclass(thing) else [(name, thing)]
        for member, value in members:
            if member.startswith("_") and member != "__init__":
                continue
            if isinstance(value, property):
                names.add(member)
            elif inspect.isfunction(value):
                names |= {member} - {"__init__"}
                names |= {parameter for parameter in inspect.signature(value).parameters if parameter != "self"}
    # The signature hides the parameters of `send`.
    names |= set(inspect.signature(pywebpush.WebPusher._prepare_send_data).parameters) - {"self"}

    def flags(parser):
        raise StopIteration(sorted(parser._option_string_actions))

    argparse.ArgumentParser.parse_args = flags
    try:
        program.get_config()
    except StopIteration as stopped:
        return {"names": sorted(names - {"args", "kwargs"}), "flags": stopped.value}


ask = json.load(sys.stdin)
json.dump(globals()[ask["do"]](ask), sys.stdout)

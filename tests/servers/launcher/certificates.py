"""Certificates for servers that are to be secured, made by openssl in a folder of the set.

`ca.pem` signs `server` (for the address 127.0.0.1 only, so that the name `localhost` does not fit it) and the client
`worker`; `other-ca.pem` signs `stranger`, whom no server knows. Each name has NAME.pem (certificate), NAME-key.pem
(PKCS8) and NAME-rsa.pem (the older form of the key), and NAME-all.pem with certificate and key in one.
"""

import pathlib
import subprocess

from . import Failure

DAYS = "3650"
SERVER = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
CLIENT = "extendedKeyUsage=clientAuth\n"


def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failure(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-days", DAYS)


def signed(folder, name, by, extensions):
    openssl(folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem", "-out", f"{name}.csr",
            "-subj", f"/O=Afterimage/CN={name}")
    (folder / f"{name}.ext").write_text(extensions)
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}-key.pem", "-CAcreateserial",
            "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    openssl(folder, "rsa", "-in", f"{name}-key.pem", "-traditional", "-out", f"{name}-rsa.pem")
    parts = [(folder / part).read_text() for part in (f"{name}.pem", f"{name}-key.pem")]
    (folder / f"{name}-all.pem").write_text("".join(parts))


def folder_of(server):
    """The folder with the certificates of the server's set; made by the first that asks."""
    folder = pathlib.Path(server.home).parent / "certificates"
    if not folder.exists():
        folder.mkdir()
        authority(folder, "ca")
        authority(folder, "other-ca")
        signed(folder, "server", "ca", SERVER)
        signed(folder, "worker", "ca", CLIENT)
        signed(folder, "stranger", "other-ca", CLIENT)
    return folder

#![allow(clippy::disallowed_methods, reason = "tests run keytool")]

use std::{path::Path, process::Command};

use super::*;

const PASSWORD: &str = "store-password";

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}

/// A key store of Java's with a chain of two, of this type.
fn key_store(dir: &Path, kind: &str, more: &[&str]) -> String {
    let store = path(dir, &format!("key.{kind}"));
    let base = ["-genkeypair", "-alias", "me", "-keyalg", "EC", "-dname", "CN=me", "-validity", "9"];
    run("keytool", &[&base, &["-storetype", kind, "-keystore", &store, "-storepass", PASSWORD][..], more].concat());
    store
}

#[test]
fn opens_what_keytool_writes() {
    let dir = tempfile::tempdir().unwrap();
    let jks = key_store(dir.path(), "JKS", &["-keypass", "key-password"]);
    let p12 = key_store(dir.path(), "PKCS12", &[]);
    assert_eq!((format(&jks), format(&p12)), (Ok(Format::Jks), Ok(Format::Pkcs12)));

    let found = identity(&jks, Some(PASSWORD), Some("key-password")).unwrap();
    assert!(found.certificate.public_key().unwrap().public_eq(&found.key));
    identity(&p12, Some(PASSWORD), None).unwrap();
    for (store, password, key) in [(&jks, "wrong", "key-password"), (&jks, PASSWORD, "wrong"), (&p12, "wrong", "")] {
        let error = identity(store, Some(password), Some(key)).unwrap_err();
        assert!(error.contains(store.as_str()) && error.contains("does not open with the password given"), "{error}");
        assert!(!error.contains("wrong") && !error.contains(PASSWORD), "{error}");
    }

    // As PEM and as an archive it is the same identity.
    let pem = path(dir.path(), "key.pem");
    std::fs::write(&pem, found.certificates_pem().unwrap() + &found.key_pem().unwrap()).unwrap();
    let again = identity(&pem, None, None).unwrap();
    assert_eq!(again.certificate.to_der().unwrap(), found.certificate.to_der().unwrap());
    let archive = path(dir.path(), "archive.p12");
    std::fs::write(&archive, found.archive("p").unwrap()).unwrap();
    assert!(identity(&archive, Some("p"), None).unwrap().key.public_eq(&found.key));

    // Trust stores of each kind with two certificates.
    let one = path(dir.path(), "one.pem");
    std::fs::write(&one, to_pem(std::slice::from_ref(&found.certificate)).unwrap()).unwrap();
    let two = path(dir.path(), "two.pem");
    std::fs::write(&two, to_pem(&[identity(&p12, Some(PASSWORD), None).unwrap().certificate]).unwrap()).unwrap();
    for kind in ["JKS", "PKCS12", "JCEKS"] {
        let store = path(dir.path(), &format!("trust.{kind}"));
        for (alias, file) in [("one", &one), ("two", &two)] {
            let base = ["-importcert", "-noprompt", "-alias", alias, "-file", file, "-storetype", kind];
            run("keytool", &[&base[..], &["-keystore", &store, "-storepass", PASSWORD]].concat());
        }
        assert_eq!(authorities(&store, Some(PASSWORD)).unwrap().len(), 2, "{kind}");
        assert!(authorities(&store, Some("wrong-password")).unwrap_err().contains("does not open"), "{kind}");
        assert!(identity(&store, Some(PASSWORD), None).unwrap_err().contains("holds no private key"), "{kind}");
    }
    // Java's own trust stores are opened without a password too.
    assert_eq!(authorities(&path(dir.path(), "trust.JKS"), None).unwrap().len(), 2);
}

#[test]
fn opens_an_archive_with_old_ciphers() {
    let dir = tempfile::tempdir().unwrap();
    let (key, certificate) = (path(dir.path(), "key"), path(dir.path(), "certificate"));
    let archive = path(dir.path(), "old.p12");
    let subject = ["-subj", "/CN=old", "-days", "9", "-keyout", &key, "-out", &certificate];
    run("openssl", &[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"][..], &subject].concat());
    let files = ["-inkey", &key, "-in", &certificate, "-out", &archive, "-passout", "pass:p"];
    run("openssl", &[&["pkcs12", "-export", "-legacy"][..], &files].concat());
    identity(&archive, Some("p"), None).unwrap();
    assert!(identity(&archive, Some("q"), None).unwrap_err().contains("password"));
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, part) in [
        ("text", &b"hello"[..], "neither PEM nor PKCS12 nor a Java key store"),
        ("empty", b"", "neither PEM"),
        ("der", &[0x30, 0x82, 1, 1], "PKCS12"),
        ("jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0], "ends early"),
        ("newer", &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 9, 0, 0, 0, 0], "version 9"),
        ("pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not readable"),
    ] {
        let file = path(dir.path(), name);
        std::fs::write(&file, bytes).unwrap();
        let error = authorities(&file, Some("p")).unwrap_err();
        assert!(error.contains(&file) && error.contains(part), "{name}: {error}");
    }
    assert!(authorities("/no/such/store", None).unwrap_err().contains("/no/such/store"));
    let file = path(dir.path(), "keyless");
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
    assert!(identity(&file, None, None).unwrap_err().contains("holds no private key"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(0u8..=255, 0..200), magic in 0..3) {
        let head: &[u8] = match magic {
            0 => &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
            1 => &[0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0],
            _ => &[0x30],
        };
        bytes.splice(0..0, head.iter().copied());
        let _ = jks::read(&bytes, Some("p")).map(|store| store.identity(Some("p")).is_ok());
        let _ = pkcs12::certificates(&bytes, "p");
        let _ = pem::identity(&bytes, None);
    }
}

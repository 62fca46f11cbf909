//! Translation of Java client settings.

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn ok(role: Role, pairs: &[(&str, &str)]) -> Settings {
    Settings::translate(role, &map(pairs)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problem(role: Role, pairs: &[(&str, &str)]) -> Problem {
    match Settings::translate(role, &map(pairs)) {
        Err(problems) if problems.len() == 1 => problems.into_iter().next().unwrap_or_else(|| unreachable!()),
        other => panic!("one problem expected, got {other:?}"),
    }
}

#[test]
fn a_producer_is_idempotent_and_waits_for_the_broker() {
    let s = ok(Role::Producer, &[("bootstrap.servers", "a:9092,b:9092")]);
    for (key, value) in [
        ("bootstrap.servers", "a:9092,b:9092"),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("partitioner", "murmur2_random"),
        ("message.timeout.ms", "0"),
        ("message.max.bytes", "1048576"),
        ("max.in.flight.requests.per.connection", "5"),
    ] {
        assert_eq!(s.get(key), Some(value), "{key}");
    }
    assert_eq!(s.max_block, None);
}

#[test]
fn java_names_become_native_ones() {
    let s = ok(
        Role::Producer,
        &[
            ("max.request.size", "5000000"),
            ("delivery.timeout.ms", "2147483647"),
            ("max.block.ms", "9223372036854775807"),
            ("request.timeout.ms", "45000"),
            ("linger.ms", "0"),
            ("batch.size", "0"),
            ("retries", "2147483647"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "3"),
            ("compression.lz4.level", "9"),
            ("buffer.memory", "4194304"),
            ("retry.backoff.ms", "0"),
            ("send.buffer.bytes", "-1"),
            ("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer"),
        ],
    );
    for (key, value) in [
        ("message.max.bytes", "5000000"),
        ("message.timeout.ms", "0"),
        ("request.timeout.ms", "45000"),
        ("socket.timeout.ms", "45000"),
        ("linger.ms", "0"),
        ("batch.size", "1"),
        ("compression.type", "zstd"),
        ("compression.level", "3"),
        ("retry.backoff.ms", "1"),
        ("socket.send.buffer.bytes", "0"),
    ] {
        assert_eq!(s.get(key), Some(value), "{key}");
    }
    assert_eq!((s.max_block, s.buffer_memory), (None, Some(4_194_304)));
    let s = ok(Role::Producer, &[("max.block.ms", "1500"), ("delivery.timeout.ms", "120000")]);
    assert_eq!((s.max_block, s.get("message.timeout.ms")), (Some(Duration::from_millis(1500)), Some("120000")));
}

#[test]
fn the_queue_is_bounded_by_the_lesser_of_limit_and_buffer_memory() {
    let mut s = ok(Role::Producer, &[("buffer.memory", "33554432")]);
    s.bound_queue(8 * 1024 * 1024);
    assert_eq!(s.get("queue.buffering.max.kbytes"), Some("8192"));
    s.bound_queue(1 << 40);
    assert_eq!(s.get("queue.buffering.max.kbytes"), Some("32768"));
    assert_eq!(s.get("queue.buffering.max.messages"), Some("104857"));
    let mut c = ok(Role::Consumer, &[("bootstrap.servers", "x:1")]);
    c.bound_fetch(4 << 20);
    assert!(c.to_native().create_native_config().is_ok());
    assert_eq!(c.get("queued.max.messages.kbytes"), Some("4096"));
}

#[test]
fn weaker_acks_switch_idempotence_off_and_keep_the_order() {
    let s = ok(Role::Producer, &[("acks", "1")]);
    assert_eq!(s.get("enable.idempotence"), Some("false"));
    assert_eq!(s.get("max.in.flight.requests.per.connection"), Some("1"));
    let p = problem(Role::Producer, &[("acks", "1"), ("enable.idempotence", "true")]);
    assert_eq!((p.key.as_str(), p.kind), ("acks", ProblemKind::Invalid));
    let p = problem(Role::Producer, &[("max.in.flight.requests.per.connection", "6")]);
    assert!(p.text.contains("at most 5"), "{p}");
}

#[test]
fn sasl_takes_user_and_password_from_the_login_module() {
    let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"sec ret\";";
    let s = ok(
        Role::Admin,
        &[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", jaas)],
    );
    assert_eq!((s.get("sasl.username"), s.get("sasl.password")), (Some("u"), Some("sec ret")));
    assert_eq!(s.get("security.protocol"), Some("sasl_plaintext"));
    assert!(!format!("{s:?}").contains("sec ret"), "a secret is shown");
    let p = problem(Role::Admin, &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")]);
    assert_eq!(p.key, "sasl.jaas.config");
    let p = problem(
        Role::Admin,
        &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "GSSAPI"), ("sasl.jaas.config", jaas)],
    );
    assert!(p.text.contains("Kerberos"), "{p}");
    // Java's default value of an unused setting.
    ok(Role::Admin, &[("sasl.mechanism", "GSSAPI")]);
}

/// Makes a key with a certificate of its own in each form that clients are given.
fn stores(dir: &std::path::Path) -> impl Fn(&str) -> String {
    let run = |program: &str, arguments: &str| {
        let arguments = arguments.split(' ').filter(|argument| !argument.is_empty());
        let output = std::process::Command::new(program).args(arguments).current_dir(dir).output();
        let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
    };
    let store = "-storepass hushhush -keystore";
    run("keytool", &format!("-genkeypair -alias me -keyalg EC -dname CN=me -storetype JKS {store} k.jks"));
    run(
        "keytool",
        "-importkeystore -srckeystore k.jks -srcstorepass hushhush -destkeystore k.p12 -deststoretype PKCS12 \
         -deststorepass hushhush",
    );
    run("openssl", "pkcs12 -in k.p12 -passin pass:hushhush -nodes -nocerts -out key.pem");
    run("openssl", "pkcs12 -in k.p12 -passin pass:hushhush -nokeys -out ca.pem");
    let dir = dir.to_owned();
    move |name| dir.join(name).to_string_lossy().into_owned()
}

#[test]
fn stores_of_every_form_become_pem() {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let file = stores(dir.path());
    let text = |name: &str| std::fs::read_to_string(file(name)).unwrap_or_else(|e| panic!("{e}"));
    let one_line = |name: &str| {
        let text = text(name);
        let (_, blocks) = text.split_once("-----BEGIN").unwrap_or_default();
        format!("-----BEGIN{}", blocks.lines().collect::<Vec<_>>().join(" "))
    };
    let mut seen = Vec::new();
    for (trust, key) in [
        (("ssl.truststore.location", file("ca.pem")), ("ssl.keystore.location", file("k.p12"))),
        (("ssl.truststore.location", file("k.jks")), ("ssl.keystore.location", file("k.jks"))),
        (("ssl.truststore.certificates", text("ca.pem")), ("ssl.keystore.key", text("key.pem"))),
        (("ssl.truststore.certificates", one_line("ca.pem")), ("ssl.keystore.key", one_line("key.pem"))),
    ] {
        let mut pairs = vec![
            ("security.protocol", "SSL"),
            (trust.0, trust.1.as_str()),
            (key.0, key.1.as_str()),
            ("ssl.endpoint.identification.algorithm", ""),
        ];
        let chain = text("ca.pem");
        if key.0.ends_with("location") {
            pairs.extend([("ssl.truststore.password", "hushhush"), ("ssl.keystore.password", "hushhush")]);
        } else {
            pairs.push(("ssl.keystore.certificate.chain", &chain));
        }
        let s = ok(Role::Consumer, &pairs);
        assert!(!format!("{s:?}").contains("PRIVATE"), "a secret is shown");
        assert_eq!(s.get("ssl.endpoint.identification.algorithm"), Some("none"));
        seen.push(["ssl.ca.pem", "ssl.certificate.pem", "ssl.key.pem"].map(|key| s.get(key).map(str::to_owned)));
    }
    assert!(seen.iter().all(|one| one.iter().all(Option::is_some)));
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{}", seen.len());

    let jks = file("k.jks");
    let p = problem(Role::Consumer, &[("ssl.truststore.location", &jks), ("ssl.truststore.password", "wrongwrong")]);
    assert!(p.text.contains("k.jks does not open with the password given") && !p.text.contains("wrongwrong"), "{p}");
    let p = problem(Role::Consumer, &[("ssl.keystore.key", &text("key.pem"))]);
    assert!(p.text.contains("ssl.keystore.certificate.chain") && !p.text.contains("PRIVATE"), "{p}");
    let p = problem(Role::Consumer, &[("ssl.truststore.location", "/no/such.jks")]);
    assert!(p.text.contains("/no/such.jks"), "{p}");
}

#[test]
fn what_cannot_be_honoured_is_said() {
    for (role, key, value, kind) in [
        (Role::Producer, "linger", "5", ProblemKind::Unknown),
        (Role::Producer, "fetch.min.bytes", "5", ProblemKind::Unknown),
        (Role::Producer, "linger.ms", "abc", ProblemKind::Invalid),
        (Role::Producer, "acks", "2", ProblemKind::Invalid),
        (Role::Producer, "compression.type", "brotli", ProblemKind::Invalid),
        (Role::Producer, "partitioner.class", "com.example.Mine", ProblemKind::Unsupported),
        (Role::Producer, "interceptor.classes", "com.example.Mine", ProblemKind::Unsupported),
        (Role::Producer, "transactional.id", "t", ProblemKind::Unsupported),
        (Role::Producer, "ssl.cipher.suites", "TLS_X", ProblemKind::Unsupported),
        (Role::Producer, "ssl.enabled.protocols", "TLSv1.1", ProblemKind::Unsupported),
        (Role::Consumer, "auto.offset.reset", "smallest", ProblemKind::Invalid),
        (Role::Admin, "bootstrap.servers", " ", ProblemKind::Invalid),
        (Role::Admin, "security.protocol", "TLS", ProblemKind::Invalid),
    ] {
        let p = problem(role, &[(key, value)]);
        assert_eq!((p.key.as_str(), p.kind), (key, kind), "{p}");
    }
}

#[test]
fn every_special_row_has_code() {
    for row in TABLE.iter().filter(|row| matches!(row.2, To::Special)) {
        for role in [Role::Producer, Role::Consumer, Role::Admin].into_iter().filter(|role| row.1 & role.bit() != 0) {
            if let Err(problems) = Settings::translate(role, &map(&[(row.0, "no such value")])) {
                assert!(problems.iter().all(|p| p.text != "cannot be honoured"), "{}", row.0);
            }
        }
    }
}

#[test]
fn native_values_are_checked_and_no_secret_is_shown() {
    let p = problem(Role::Producer, &[("client.dns.lookup", "sometimes")]);
    assert!(p.key == "client.dns.lookup" && p.text.contains("sometimes"), "{p}");
}

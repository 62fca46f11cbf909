//! The worker and its connectors on a broker that asks who they are and what they may do.

use super::*;

const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// The lines (`KEY=VALUE`) of a client that logs in by SCRAM over TLS, each behind `prefix`.
fn scram(prefix: &str, password: &str) -> String {
    let lines = [
        ("security.protocol", "SASL_SSL".to_owned()),
        ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
        ("sasl.jaas.config", format!("{SCRAM} required username=\"worker\" password=\"{password}\";")),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", certificate("ca.pem")),
    ];
    lines.iter().map(|(key, value)| format!("{prefix}{key}={value}\n")).collect()
}

/// The same for one that logs in by PLAIN, without TLS.
fn plain(prefix: &str, password: &str) -> String {
    let lines = [
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "PLAIN".to_owned()),
        ("sasl.jaas.config", format!("{PLAIN} required username=\"worker\" password=\"{password}\";")),
    ];
    lines.iter().map(|(key, value)| format!("{prefix}{key}={value}\n")).collect()
}

/// Lines as the keys of a connector.
fn keys(lines: &str) -> Value {
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    Value::Object(pairs.map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
}

fn address(purpose: &str) -> &'static str {
    servers().info("kafka")[purpose].as_str().expect("an address of the broker")
}

/// A worker whose every client logs in by SCRAM.
fn scram_worker() -> String {
    let prefixes = ["", "producer.", "consumer.", "admin."];
    prefixes.iter().map(|prefix| scram(prefix, "worker-secret")).collect::<String>() + WORKER
}

/// The schema history's clients, which take nothing from the worker.
fn history(client: impl Fn(&str) -> String, bootstrap: &str) -> Value {
    let mut keys = keys(&(client("schema.history.internal.producer.") + &client("schema.history.internal.consumer.")));
    keys["schema.history.internal.kafka.bootstrap.servers"] = Value::from(bootstrap);
    keys
}

#[test]
fn scram_over_tls_works_from_end_to_end_and_a_wrong_password_stops_one_connector() {
    let server = servers().info("mysql8");
    let folder = tempfile::tempdir().expect("a folder");
    table("mysql8", "scram");
    let mut daemon = Daemon::start(folder.path(), address("sasl_ssl"), "sec-scram", &scram_worker());
    // The connector's producer and its schema history log in by other mechanisms.
    let mut more = history(|prefix| plain(prefix, "worker-secret"), address("sasl"));
    more["producer.override.sasl.mechanism"] = Value::from("SCRAM-SHA-256");
    daemon.create(&connector("scram", "mysql8", &more));
    insert(server, "scram", 2);
    wait_keys(&daemon, "sec-scram.scram.t", &[1, 2]);
    assert_eq!(daemon.stop(), Some(0));
    insert(server, "scram", 3);
    daemon.restart();
    wait_keys(&daemon, "sec-scram.scram.t", &[1, 2, 3]);

    // Another connector brings a wrong password for its producer, and then the right one.
    table("mysql8", "wrong");
    let mut wrong = more.clone();
    let jaas = |password: &str| format!("{SCRAM} required username=\"worker\" password=\"{password}\";");
    wrong["producer.override.sasl.jaas.config"] = Value::from(jaas("Planted-Wrong-77"));
    let (code, answer) = daemon.send("POST", "/connectors", Some(&connector("wrong", "mysql8", &wrong)));
    assert_eq!(code, 201, "{answer}");
    let trace = daemon.wait_failed("wrong");
    says(&trace, &[address("sasl_ssl"), "sasl.jaas.config", "uthentication"]);
    assert!(!trace.contains("Planted-Wrong-77") && !daemon.log().contains("Planted-Wrong-77"));
    assert_eq!(offsets(&daemon, "wrong"), json!({ "offsets": [] }), "nothing was delivered");
    insert(server, "scram", 4);
    wait_keys(&daemon, "sec-scram.scram.t", &[1, 2, 3, 4]);
    let (code, answer) =
        daemon.send("PUT", "/connectors/wrong/config", Some(&connector("wrong", "mysql8", &more)["config"]));
    assert_eq!(code, 200, "{answer}");
    wait_keys(&daemon, "sec-wrong.wrong.t", &[1]);

    // A history that may not be read, and then may.
    let mut unread = more.clone();
    let jaas = format!("{PLAIN} required username=\"worker\" password=\"Planted-Wrong-78\";");
    unread["schema.history.internal.consumer.sasl.jaas.config"] = Value::from(jaas);
    let set = |keys: &Value| {
        let body = connector("scram", "mysql8", keys);
        let (code, answer) = daemon.send("PUT", "/connectors/scram/config", Some(&body["config"]));
        assert_eq!(code, 200, "{answer}");
    };
    set(&unread);
    let trace = daemon.wait_failed("scram");
    says(&trace, &["sec-scram-history", "schema.history.internal.consumer"]);
    assert!(!trace.contains("Planted-Wrong-78"));
    insert(server, "scram", 5);
    set(&more);
    wait_keys(&daemon, "sec-scram.scram.t", &[1, 2, 3, 4, 5]);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!daemon.log().contains("worker-secret"), "the log shows a password");
}

#[test]
fn client_certificates_work_from_end_to_end_with_javas_stores() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (trust, archive, key) = (path("trust.jks"), path("worker.p12"), path("worker.jks"));
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().expect("the JDK's and OpenSSL's tools");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
    };
    let import = ["-importcert", "-noprompt", "-alias", "ca", "-storetype", "JKS", "-storepass", "trust-secret"];
    run("keytool", &[&import[..], &["-file", &certificate("ca.pem"), "-keystore", &trust]].concat());
    let all = certificate("worker-all.pem");
    run("openssl", &["pkcs12", "-export", "-in", &all, "-out", &archive, "-passout", "pass:key-secret"]);
    let convert = ["-importkeystore", "-noprompt", "-srcstorepass", "key-secret", "-deststorepass", "key-secret"];
    run(
        "keytool",
        &[&convert[..], &["-srckeystore", &archive, "-destkeystore", &key, "-deststoretype", "JKS"]].concat(),
    );
    let client = |prefix: &str, store: &str| {
        [
            ("security.protocol", "SSL"),
            ("ssl.truststore.location", trust.as_str()),
            ("ssl.truststore.password", "trust-secret"),
            ("ssl.keystore.location", store),
            ("ssl.keystore.password", "key-secret"),
            ("ssl.key.password", "key-secret"),
        ]
        .iter()
        .map(|(key, value)| format!("{prefix}{key}={value}\n"))
        .collect::<String>()
    };
    table("mysql8", "certs");
    let worker = client("", &key) + &client("admin.", &archive) + WORKER;
    let mut daemon = Daemon::start(&folder.path().join("d"), address("ssl"), "sec-certs", &worker);
    let mut more = history(|prefix| client(prefix, &archive), address("ssl"));
    // The worker has nothing for the connectors' producers: theirs come with the connector.
    for (name, value) in keys(&client("producer.override.", &key)).as_object().expect("an object") {
        more[name] = value.clone();
    }
    daemon.create(&connector("certs", "mysql8", &more));
    insert(servers().info("mysql8"), "certs", 2);
    wait_keys(&daemon, "sec-certs.certs.t", &[1, 2]);
    assert_eq!(daemon.stop(), Some(0));
    let log = daemon.log();
    assert!(!log.contains("key-secret") && !log.contains("trust-secret"), "the log shows a password");

    // A certificate of an authority that the broker does not know.
    let stranger = format!(
        "security.protocol=SSL\nssl.truststore.location={}\nssl.keystore.location={}\n",
        certificate("ca.pem"),
        certificate("stranger-all.pem")
    );
    refused(&folder.path().join("stranger"), address("ssl"), "sec-stranger", &stranger, &["ssl."]);
}

/// A worker that cannot start, with exit code 1 and these words.
fn refused(dir: &std::path::Path, bootstrap: &str, group: &str, lines: &str, parts: &[&str]) {
    let mut daemon = Daemon::spawn(dir, bootstrap, group, &format!("{lines}{WORKER}"));
    let (code, log) = daemon.ended(Duration::from_secs(90));
    assert_eq!(code, Some(1), "{log}");
    says(last_words(&log), &[&[bootstrap], parts].concat());
    assert!(!log.contains("Planted") && !log.contains("worker-secret"), "{log}");
}

#[test]
fn a_worker_that_the_broker_does_not_know_or_trust_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = |name: &str| folder.path().join(name);
    let secured = address("sasl_ssl");
    refused(&dir("password"), secured, "sec-x1", &scram("", "Planted-1"), &["sasl.jaas.config", "credentials"]);
    refused(&dir("plain"), address("sasl"), "sec-x2", &plain("", "Planted-1"), &["sasl.jaas.config"]);
    let other = scram("", "worker-secret").replace("ca.pem", "other-ca.pem");
    refused(&dir("authority"), secured, "sec-x3", &other, &["ssl.truststore", "certificate"]);
    // The certificate is for the address, not for this name.
    let named = secured.replace("127.0.0.1", "localhost");
    let parts = ["ssl.endpoint.identification.algorithm", "certificate"];
    refused(&dir("name"), &named, "sec-x4", &scram("", "worker-secret"), &parts);
}

#[test]
fn a_missing_right_is_named_and_nothing_moves() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = |name: &str| folder.path().join(name);
    let (bootstrap, worker) = (address("sasl_ssl"), scram_worker());

    // No right to create the internal topics, then none to the group.
    let mut daemon = Daemon::spawn(&dir("topics"), bootstrap, "other-topics", &worker);
    let (code, log) = daemon.ended(Duration::from_secs(90));
    assert_eq!(code, Some(1), "{log}");
    says(last_words(&log), &["other-topics-", "CREATE", "uthoriz"]);
    let renamed =
        ["config", "offset", "status"].map(|kind| format!("{kind}.storage.topic=sec-group-{kind}\n")).concat();
    let mut daemon = Daemon::spawn(&dir("group"), bootstrap, "other-group", &format!("{worker}{renamed}"));
    let (code, log) = daemon.ended(Duration::from_secs(90));
    assert_eq!(code, Some(3), "{log}");
    says(last_words(&log), &["other-group", "READ"]);

    // A target topic that may not be created; then one that is there and may not be written.
    let mut daemon = Daemon::start(&dir("write"), bootstrap, "sec-rights", &worker);
    table("mysql8", "rights");
    let mut more = history(|prefix| scram(prefix, "worker-secret"), bootstrap);
    more["topic.prefix"] = Value::from("closed");
    more["include.schema.changes"] = Value::from("false");
    let (code, answer) = daemon.send("POST", "/connectors", Some(&connector("rights", "mysql8", &more)));
    assert_eq!(code, 201, "{answer}");
    let topic = "closed.rights.t";
    let trace = daemon.wait_failed("rights");
    says(&trace, &[topic, "authorized to create topics", "uthoriz"]);
    assert_eq!(offsets(&daemon, "rights"), json!({ "offsets": [] }));

    topics::create(servers().bootstrap(), topic);
    acl(servers(), &["--add", "--allow-principal", "User:worker", "--operation", "Describe", "--topic", topic]);
    restart_task(&daemon, "rights");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let trace = daemon.wait_failed("rights");
        if trace.contains("WRITE") {
            says(&trace, &[topic, "uthoriz"]);
            break;
        }
        assert!(Instant::now() < deadline, "{trace}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(offsets(&daemon, "rights"), json!({ "offsets": [] }));
    assert_eq!(topics::count(servers().bootstrap(), topic), 0);

    acl(servers(), &["--add", "--allow-principal", "User:worker", "--operation", "Write", "--topic", topic]);
    restart_task(&daemon, "rights");
    daemon.wait_running("rights");
    insert(servers().info("mysql8"), "rights", 2);
    wait_keys(&daemon, topic, &[1, 2]);
    assert_eq!(daemon.stop(), Some(0));
}

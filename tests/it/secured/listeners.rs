//! The REST API and the admin port over TLS and with users, as curl sees them.

use super::*;
use crate::daemon::free_port;

/// What curl gets: the status and the body, or its exit code when there is no answer.
fn curl(arguments: &[&str]) -> Result<(u16, String), i32> {
    let output = Command::new("curl")
        .args(["--silent", "--noproxy", "*", "--max-time", "20", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').expect("a status");
    match output.status.code() {
        Some(0) => Ok((code.parse().expect("a number"), body.to_owned())),
        code => Err(code.unwrap_or(-1)),
    }
}

/// curl's exit codes: the server's certificate is not trusted; the handshake or a read failed.
const UNTRUSTED: i32 = 60;

#[test]
fn listeners_speak_tls_side_by_side_and_ask_for_certificates_and_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let archive = path("server.p12");
    let made = Command::new("openssl")
        .args([
            "pkcs12",
            "-export",
            "-in",
            &certificate("server-all.pem"),
            "-out",
            &archive,
            "-passout",
            "pass:key-secret",
        ])
        .output();
    assert!(made.expect("openssl runs").status.success());
    std::fs::write(path("users"), "alice=Planted-User-9\n").expect("users");
    let module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";
    let jaas = format!("KafkaConnect {{ {module} required file=\"{}\"; }};", path("users"));
    std::fs::write(path("jaas.conf"), jaas).expect("a JAAS file");
    let [http, https, loggers, admin] = [free_port(), free_port(), free_port(), free_port()];
    let ca = certificate("ca.pem");
    let worker = format!(
        "{WORKER}listeners=http://127.0.0.1:{http},HTTPS://127.0.0.1:{https}\n\
         listeners.https.ssl.keystore.location={archive}\nlisteners.https.ssl.keystore.password=key-secret\n\
         admin.listeners=https://127.0.0.1:{loggers}\nadmin.listeners.https.ssl.keystore.location={all}\n\
         admin.listeners.https.ssl.client.auth=required\nadmin.listeners.https.ssl.truststore.location={ca}\n\
         afterimage.admin.listeners=https://127.0.0.1:{admin}\nafterimage.admin.authentication=basic\n\
         afterimage.admin.listeners.https.ssl.keystore.location={all}\n\
         afterimage.admin.listeners.https.ssl.enabled.protocols=TLSv1.3\n\
         rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension\n\
         afterimage.auth.login.config={}\nresponse.http.headers.config=set X-Frame-Options: DENY\n",
        path("jaas.conf"),
        all = certificate("server-all.pem"),
    );
    let mut daemon = Daemon::spawn(&folder.path().join("d"), servers().bootstrap(), "sec-listeners", &worker);
    let url = |scheme: &str, port: u16, path: &str| format!("{scheme}://127.0.0.1:{port}{path}");
    let user = ["--user", "alice:Planted-User-9"];
    let trusting = ["--cacert", ca.as_str()];
    let deadline = Instant::now() + Duration::from_secs(60);
    let plain = url("http", http, "/connectors");
    while curl(&[&user[..], &[&plain]].concat()) != Ok((200, "[]".to_owned())) {
        assert!(Instant::now() < deadline && daemon.is_running(), "the daemon is not ready\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }

    let secure = url("https", https, "/connectors");
    assert_eq!(curl(&[&trusting[..], &user, &[&secure]].concat()), Ok((200, "[]".to_owned())));
    let refused = Ok((401, "User cannot access the resource.".to_owned()));
    assert_eq!(curl(&[&trusting[..], &[&secure]].concat()), refused);
    assert_eq!(curl(&[&plain]), refused);
    assert_eq!(curl(&[&user[..], &[&secure]].concat()), Err(UNTRUSTED));
    let (_, head) = curl(&[&trusting[..], &user, &["--head", &secure]].concat()).expect("an answer");
    says(&head.to_ascii_lowercase(), &["x-frame-options: deny"]);
    // Somebody who connects and says nothing holds up nobody.
    let silent = std::net::TcpStream::connect(("127.0.0.1", https)).expect("a connection");
    for version in ["--tlsv1.3", "--tls-max"] {
        let version = if version == "--tls-max" { vec!["--tls-max", "1.2"] } else { vec![version] };
        assert_eq!(curl(&[&trusting[..], &user, &version, &[&secure]].concat()), Ok((200, "[]".to_owned())));
    }
    drop(silent);

    // Log levels on a listener of their own, for holders of a certificate.
    let levels = url("https", loggers, "/admin/loggers");
    let own = certificate("worker-all.pem");
    let answer = curl(&[&trusting[..], &user, &["--cert", &own, &levels]].concat()).expect("an answer");
    assert_eq!(answer.0, 200, "{}", answer.1);
    for cert in [vec![], vec!["--cert".to_owned(), certificate("stranger-all.pem")]] {
        let cert: Vec<&str> = cert.iter().map(String::as_str).collect();
        assert!(curl(&[&trusting[..], &user, &cert, &[&levels]].concat()).is_err(), "{cert:?} is let in");
    }
    assert_eq!(curl(&[&trusting[..], &user, &[&url("https", https, "/admin/loggers")]].concat()).map(|a| a.0), Ok(404));

    let health = url("https", admin, "/health");
    assert_eq!(curl(&[&trusting[..], &[&health]].concat()).map(|answer| answer.0), Ok(401));
    assert_eq!(curl(&[&trusting[..], &user, &[&health]].concat()).map(|answer| answer.0), Ok(200));
    assert!(curl(&[&trusting[..], &user, &["--tls-max", "1.2", &health]].concat()).is_err(), "TLS 1.2 is let in");
    assert_eq!(daemon.stop(), Some(0));
    let log = daemon.log();
    assert!(!log.contains("Planted-User-9") && !log.contains("key-secret"), "the log shows a password");
    says(&log, &[&format!("https://127.0.0.1:{https}"), &format!("https://127.0.0.1:{admin}")]);

    // What is wrong with the files is told before anything is opened.
    let wrong = worker.replace("keystore.password=key-secret", "keystore.password=Planted-Wrong");
    let mut daemon = Daemon::spawn(&folder.path().join("w"), servers().bootstrap(), "sec-listeners", &wrong);
    let (code, log) = daemon.ended(Duration::from_secs(30));
    assert_eq!(code, Some(3), "{log}");
    says(last_words(&log), &["listeners.https.ssl.keystore.location", "does not open with the password given"]);
    assert!(!log.contains("Planted-Wrong"), "{log}");
}

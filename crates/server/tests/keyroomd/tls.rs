//! TLS, with certificates made for the test.

use std::sync::Arc;

use keyroom_api::DEVICE_HEADER;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use reqwest::Client;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::program::{Place, Program, private, run, set_mode};

/// Writes a certificate for `localhost` with its key, and returns the certificate.
fn issue(place: &Place) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    private(place.path(), "tls.crt", &cert.pem());
    private(place.path(), "tls.key", &signing_key.serialize_pem());
    cert.pem()
}

fn start(place: &Place, more: &[&str]) -> Program {
    let (certificate, key) = (place.file("tls.crt"), place.file("tls.key"));
    let files = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    Program::start(&place.database(), &[&files[..], more].concat())
}

/// Whether who believes this certificate, and no other, gets an answer.
async fn is_believed(program: &Program, certificate: &str) -> bool {
    let port = program.address().rsplit(':').next().unwrap().to_owned();
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let address = program.address().parse().unwrap();
    let http = Client::builder().tls_certs_only([root]).resolve("localhost", address).build().unwrap();
    match http.get(format!("https://localhost:{port}/healthz")).send().await {
        Ok(response) => response.status() == 200,
        Err(_) => false,
    }
}

#[tokio::test]
async fn requests_travel_under_the_certificate_and_not_in_the_clear() {
    let place = Place::new();
    let certificate = issue(&place);
    let program = start(&place, &[]);
    assert!(is_believed(&program, &certificate).await);
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    assert!(!is_believed(&program, &other).await);
    assert!(reqwest::get(format!("http://{}/healthz", program.address())).await.is_err());
}

#[tokio::test]
async fn a_certificate_is_read_again_on_a_signal_and_stays_if_the_new_one_is_not_good() {
    let place = Place::new();
    let first = issue(&place);
    let mut program = start(&place, &[]);
    let second = issue(&place);
    assert!(is_believed(&program, &first).await, "nobody has said that there is a new one");
    program.signal("HUP");
    program.hears("the certificate was read again");
    assert!(is_believed(&program, &second).await);
    assert!(!is_believed(&program, &first).await);

    private(place.path(), "tls.key", &KeyPair::generate().unwrap().serialize_pem());
    program.signal("HUP");
    program.hears("the certificate stays as it was");
    assert!(is_believed(&program, &second).await);
    program.signal("TERM");
    assert!(program.ended().success());
}

#[tokio::test]
async fn live_connections_work_under_tls_and_are_closed_by_a_stop() {
    let place = Place::new();
    let certificate = issue(&place);
    let mut program = start(&place, &["--trust-device-header"]);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let stream = TcpStream::connect(program.address()).await.unwrap();
    // One that never says a word holds up nobody.
    let _silent = TcpStream::connect(program.address()).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let mut request = "wss://localhost/v1/live".into_client_request().unwrap();
    request.headers_mut().insert(DEVICE_HEADER, "mimi://example.org/d/alice/phone".parse().unwrap());
    let (mut socket, response) = client_async(request, stream).await.unwrap();
    assert_eq!(response.status(), 101);
    program.signal("TERM");
    let message = futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
    assert!(message.is_close(), "{message:?}");
    assert!(program.ended().success());
}

#[test]
fn a_key_that_others_can_read_or_that_does_not_belong_is_refused() {
    let place = Place::new();
    issue(&place);
    let refused = |says: &str| {
        let files = [place.file("tls.crt"), place.file("tls.key")].map(|file| file.to_str().unwrap().to_owned());
        let arguments = ["--listen", "127.0.0.1:0", "--tls-certificate", &files[0], "--tls-key", &files[1]];
        let output = run(&[&arguments[..], &["--database", &place.database()]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("not started") && said.contains(says), "{says}: {said}");
    };
    set_mode(&place.file("tls.key"), 0o640);
    refused("tls.key can be read or changed by others (mode 0640)");
    private(place.path(), "tls.key", &KeyPair::generate().unwrap().serialize_pem());
    refused("give the two that belong together");
    private(place.path(), "tls.key", "nothing");
    refused("holds no private key");
    private(place.path(), "tls.crt", "nothing");
    refused("holds no certificate");
    std::fs::remove_file(place.file("tls.key")).unwrap();
    refused("tls.key cannot be read");
}

//! The way to PostgreSQL under TLS, with certificates made for the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyroom_testbed::Postgres;
use tempfile::TempDir;

/// Certificates, by the program `openssl`.
struct Authority {
    folder: TempDir,
    name: &'static str,
}

impl Authority {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Self { folder, name };
        let subject = format!("/CN={name}");
        openssl(
            &authority,
            &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
            &["-keyout", "ca.key", "-out", "ca.crt", "-subj", &subject],
        );
        authority
    }

    /// A certificate for this name, with its key.
    fn issue(&self, host: &str) -> (String, String) {
        openssl(
            self,
            &["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            &["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=database"],
        );
        let extensions = format!("subjectAltName=DNS:{host}\nbasicConstraints=critical,CA:FALSE\n");
        fs::write(self.folder.path().join("extensions"), extensions).unwrap();
        openssl(
            self,
            &["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
            &["-days", "2", "-extfile", "extensions", "-out", "server.crt"],
        );
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap();
        (read("server.crt"), read("server.key"))
    }

    /// The file with its own certificate.
    fn root(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }
}

fn openssl(authority: &Authority, what: &[&str], rest: &[&str]) {
    let mut command = Command::new("openssl");
    let output = command.args(what).args(rest).current_dir(authority.folder.path()).output().expect("openssl");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", authority.name);
}

/// Starts `keyroomd` on a database, with these roots and no others, and returns the line that says that it
/// listens or why it does not; what is done in between is done while it runs.
fn start(url: &str, roots: &Path, while_it_runs: impl FnOnce()) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyroomd"))
        .args(["--listen", "127.0.0.1:0", "--host", "example.org"])
        .env("KEYROOM_DATABASE", url)
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("listening") || line.contains("not started"));
    while_it_runs();
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().unwrap();
    said.unwrap_or_default()
}

#[test]
fn a_database_is_believed_by_a_certificate_that_is_good_for_its_name_only() {
    let Some(server) = Postgres::start() else { return };
    let (good, other) = (Authority::new("good"), Authority::new("other"));
    let named = format!("postgres://keyroom@localhost:{}/postgres?sslmode=require", server.port());
    let numbered = named.replace("localhost", "127.0.0.1");
    let nothing = || {};

    // Before it speaks TLS at all.
    let said = start(&named, &good.root(), nothing);
    assert!(said.contains("not started") && !said.contains("certificate"), "{said}");

    let (certificate, key) = good.issue("localhost");
    server.encrypt(&certificate, &key);
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'keyroomd' AND ssl";
    let said = start(&named, &good.root(), || assert_ne!(server.execute(encrypted), "0", "in the clear"));
    assert!(said.contains("listening"), "{said}");

    // Somebody else's root; and the right one for another name.
    for (url, roots) in [(&named, other.root()), (&numbered, good.root())] {
        let said = start(url, &roots, nothing);
        assert!(said.contains("not started") && said.contains("certificate of the database"), "{url}: {said}");
    }
    // Another certificate from the right hands.
    let (certificate, key) = good.issue("elsewhere.example");
    server.encrypt(&certificate, &key);
    let said = start(&named, &good.root(), nothing);
    assert!(said.contains("not started") && said.contains("certificate of the database"), "{said}");
}

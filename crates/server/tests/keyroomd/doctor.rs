//! What the doctor finds.

use keyroom_testbed::shared_postgres;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::program::{Place, Program, command, private, run, set_mode, text};

/// The first finding about something at a level.
fn finds<'a>(text: &'a str, level: &str, about: &str, says: &str) -> &'a str {
    let is_it = |line: &&str| line.starts_with(level) && line.contains(about) && line.contains(says);
    text.lines().find(is_it).unwrap_or_else(|| panic!("no {level} {about} {says}:\n{text}"))
}

#[test]
fn a_server_that_is_well_is_found_well_while_it_runs() {
    let place = Place::new();
    let _program = Program::start(&place.database(), &[]);
    let arguments = ["doctor", "--database", &place.database(), "--rates-device", "50", "--rates-address", "500"];
    let output = run(&arguments);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for (about, says) in [
        ("configuration", "good"),
        ("permissions", "nobody else"),
        ("database", "it answers and can be written"),
        ("database", "survives a loss of power (synchronous=FULL, journal_mode=WAL)"),
        ("database", "its tables have version"),
        ("clock", "plausible"),
        ("callers", "have a bound"),
    ] {
        finds(&text, "ok", about, says);
    }
    assert!(!text.contains("failed"), "{text}");
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let place = Place::new();
    let output = run(&["doctor", "--database", &place.database()]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    finds(&text, "warning", "database", "the first start creates it");
    finds(&text, "warning", "callers", "set rates.device and rates.address");
    assert!(!place.file("keyroom.db").exists());
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_and_fails() {
    let place = Place::new();
    let database = private(place.path(), "keyroom.db", &"this is no database, and it is long enough ".repeat(40));
    set_mode(database.as_ref(), 0o644);
    let output = run(&["doctor", "--database", &database, "--bus", "nats://127.0.0.1:1"]);
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    finds(&text, "failed", "permissions", &format!("(mode 0644): run chmod 600 {database}"));
    finds(&text, "failed", "database", "restore a backup");
    finds(&text, "failed", "bus", "see whether NATS runs");
}

#[test]
fn a_certificate_is_held_to_its_time_and_name() {
    let place = Place::new();
    let issue = |name: &str, from: i32, until: i32| {
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = private(place.path(), "tls.crt", &parameters.self_signed(&key).unwrap().pem());
        let key = private(place.path(), "tls.key", &key.serialize_pem());
        let files = ["--tls-certificate", &certificate, "--tls-key", &key];
        let common = ["doctor", "--host", "example.org", "--database", &place.database()].map(str::to_owned);
        let output = command(&[]).args(common).args(files).output().unwrap();
        (output.status.success(), text(&output))
    };
    let (good, text) = issue("example.org", 2020, 2090);
    assert!(good, "{text}");
    finds(&text, "ok", "certificate", "it is good for example.org");
    let (good, text) = issue("other.example", 2020, 2021);
    assert!(!good, "{text}");
    finds(&text, "failed", "certificate", "it expired");
    finds(&text, "warning", "certificate", "it is not good for example.org");
    let (good, text) = issue("example.org", 2080, 2090);
    assert!(!good, "{text}");
    finds(&text, "failed", "certificate", "its time has not come");
}

#[test]
fn on_postgres_its_clock_counts() {
    let Some(server) = shared_postgres() else { return };
    let url = server.schema();
    let doctor = || {
        let output = command(&["doctor"]).env("KEYROOM_DATABASE", &url).output().unwrap();
        (output.status.success(), text(&output))
    };
    let (_, text) = doctor();
    finds(&text, "ok", "clock", "s from that of the database");
    finds(&text, "ok", "database", "it has no tables yet");
    drop(Program::start(&url, &[]));
    let (good, text) = doctor();
    assert!(good, "{text}");
    finds(&text, "ok", "database", "its tables have version 1");
    finds(&text, "warning", "bus", "set bus");
}

//! Settings and the files that others must not read.

use crate::program::{Place, Program, command, mode, private, run, set_mode, text};

#[test]
fn a_check_shows_every_setting_with_its_origin_and_no_password() {
    let place = Place::new();
    let database = "database = 'postgres://keyroom:hunter2@db.example/keyroom'\nhost = 'file.example'\n";
    let file = private(place.path(), "keyroomd.toml", database);
    let output = command(&["config", "check", "--config", &file, "--poll", "9"])
        .env("KEYROOM_LISTEN", "127.0.0.1:9000")
        .output()
        .unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let row = |name: &str| text.lines().find(|line| line.split(' ').next() == Some(name)).expect(name).to_owned();
    assert!(row("listen").contains("127.0.0.1:9000") && row("listen").ends_with("environment"), "{text}");
    assert!(row("host").contains("file.example") && row("host").ends_with("keyroomd.toml"), "{text}");
    assert!(row("poll").contains('9') && row("poll").ends_with("flag"), "{text}");
    assert!(row("limits.body").contains("64 MiB") && row("limits.body").ends_with("default"), "{text}");
    assert!(row("database").contains("(hidden)") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_check_tells_of_all_that_is_wrong_and_fails() {
    let place = Place::new();
    let file = private(place.path(), "keyroomd.toml", "lisen = '127.0.0.1:1'\npoll = -1\n[limits]\nmailbox = true\n");
    let output = run(&["config", "check", "--config", &file, "--host", "Not A Host"]);
    let text = text(&output);
    assert!(!output.status.success());
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    assert_eq!(told.len(), 4, "{text}");
    assert!(told.iter().any(|line| line.contains("no setting lisen")), "{text}");
    assert!(told.iter().any(|line| line.contains("give poll in") && line.contains("not \"-1\"")), "{text}");
    assert!(told.iter().any(|line| line.contains("give limits.mailbox in")), "{text}");
    assert!(told.iter().any(|line| line.contains("give --host a DNS name")), "{text}");
}

#[test]
fn nothing_is_served_with_settings_that_are_wrong() {
    let place = Place::new();
    let output = run(&["--database", &place.database(), "--listen", "nowhere"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("not started") && said.contains("give --listen an address and a port"), "{said}");
    assert!(!place.file("keyroom.db").exists());
}

#[test]
fn a_configuration_file_with_a_password_is_read_only_if_nobody_else_can() {
    let place = Place::new();
    let file = private(place.path(), "keyroomd.toml", "database = 'postgres://keyroom:hunter2@127.0.0.1:1/x'\n");
    set_mode(file.as_ref(), 0o644);
    for arguments in [vec!["--config", &file], vec!["config", "check", "--config", &file]] {
        let output = run(&arguments);
        let said = format!("{}{}", text(&output), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success());
        assert!(said.contains(&format!("{file} can be read or changed by others (mode 0644)")), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let harmless = private(place.path(), "other.toml", "host = 'example.org'\n");
    set_mode(harmless.as_ref(), 0o644);
    let output = run(&["config", "check", "--config", &harmless, "--database", &place.database()]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_database_is_its_owners_alone_and_served_only_as_long_as_it_is() {
    let place = Place::new();
    let program = Program::start(&place.database(), &[]);
    for name in ["keyroom.db", "keyroom.db-wal"] {
        assert_eq!(mode(&place.file(name)), 0o600, "{name}");
    }
    drop(program);
    let log = place.file("keyroom.db-wal");
    set_mode(&log, 0o640);
    let output = run(&["--listen", "127.0.0.1:0", "--database", &place.database()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("keyroom.db-wal") && said.contains("mode 0640"), "{said}");
    set_mode(&log, 0o600);
    drop(Program::start(&place.database(), &[]));
}

#[test]
fn a_file_and_the_environment_are_enough_to_serve() {
    let place = Place::new();
    let settings = format!("listen = '127.0.0.1:0'\ndatabase = '{}'\n[limits]\nmessage = 100\n", place.database());
    let file = private(place.path(), "keyroomd.toml", &settings);
    let program = Program::start(&place.database(), &["--config", &file]);
    assert!(program.address().starts_with("127.0.0.1:"));
    let mut program = program;
    program.signal("TERM");
    assert!(program.ended().success());
}

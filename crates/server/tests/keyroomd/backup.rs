//! Copies of a database that is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::member::Member;
use crate::program::{Place, Program, mode, run};

const ROOMS: [&str; 3] = ["one", "two", "three"];

fn members(address: &str) -> Vec<Arc<Member>> {
    (0..).zip(ROOMS).map(|(seed, name)| Arc::new(Member::new(address, &format!("{name}/phone"), 10 * seed))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_under_load_has_what_was_answered_before_and_a_prefix_of_every_log() {
    let place = Place::new();
    let program = Program::start(&place.database(), &[]);
    let members = members(&program.address());
    for (member, name) in members.iter().zip(ROOMS) {
        member.found(name).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let said: [Arc<AtomicU64>; 3] = Default::default();
    let mut writers = Vec::new();
    for ((member, name), said) in members.iter().cloned().zip(ROOMS).zip(said.clone()) {
        let stop = stop.clone();
        writers.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                member.say(name, 0, said.load(Ordering::SeqCst)).await;
                said.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let mut copies = Vec::new();
    for number in 0..3 {
        // Something is written between two copies.
        let before: Vec<u64> = said.iter().map(|said| said.load(Ordering::SeqCst)).collect();
        while said.iter().zip(&before).any(|(said, before)| said.load(Ordering::SeqCst) < before + 5) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let answered: Vec<u64> = said.iter().map(|said| said.load(Ordering::SeqCst)).collect();
        let copy = place.file(&format!("copy{number}"));
        let (database, to) = (place.database(), copy.to_str().unwrap().to_owned());
        let output = tokio::task::spawn_blocking(move || run(&["backup", &to, "--database", &database]));
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(mode(&copy), 0o600);
        copies.push((copy, answered));
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    let mut logs = Vec::new();
    for (member, name) in members.iter().zip(ROOMS) {
        logs.push(member.log(name).await);
    }
    drop(program);
    for (copy, answered) in copies {
        let program = Program::start(copy.to_str().unwrap(), &[]);
        for (((member, name), log), answered) in
            self::members(&program.address()).iter().zip(ROOMS).zip(&logs).zip(answered)
        {
            let copied = member.log(name).await;
            assert!(copied.len() as u64 >= answered, "{name}: {} of {answered}", copied.len());
            assert!(log.starts_with(&copied), "{name}: no prefix");
            member.say(name, 0, 1 << 40).await;
        }
    }
}

#[test]
fn nothing_is_overwritten_and_a_copy_of_postgres_is_not_made_here() {
    let place = Place::new();
    drop(Program::start(&place.database(), &[]));
    let copy = place.file("copy");
    std::fs::write(&copy, "mine").unwrap();
    let output = run(&["backup", copy.to_str().unwrap(), "--database", &place.database()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("nothing is overwritten"), "{said}");
    assert_eq!(std::fs::read(&copy).unwrap(), b"mine");
    let output = run(&["backup", "elsewhere", "--database", "postgres://nobody@127.0.0.1:1/x"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("use pg_dump"), "{said}");
}

//! Runs the corpus with each peer, and writes down what happens.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use keyroom_negative::{Case, FILES, Kind, load};

use crate::passive::{Peer, agree, read};

/// What a peer did with a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bad message was refused with this error, and the twin accepted after it.
    Refused(String),
    /// The bad message was refused with the first error; then the twin too, with the second.
    Stuck(String, String),
    /// The bad message was accepted.
    Accepted,
    /// The twin is refused even where nothing bad came before.
    CannotTell(String),
    /// What comes before the bad message is refused.
    NotRun(String),
}

/// One case with the verdict of each peer, in the order of [`Peer::ALL`].
pub struct Measured {
    pub case: Case,
    pub verdicts: [Verdict; 2],
}

/// All cases by file.
pub type Results = Vec<(&'static str, Vec<Measured>)>;

/// Where the table is committed.
pub fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "peers.md"].iter().collect()
}

/// Runs all cases.
pub fn measure() -> Results {
    let each = |case: Case| Measured { verdicts: Peer::ALL.map(|peer| verdict(peer, &case)), case };
    FILES.into_iter().map(|file| (file, load(file).into_iter().map(each).collect())).collect()
}

/// A panic of a peer counts as an error with that name.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("Panic".to_owned()))
}

fn verdict(peer: Peer, case: &Case) -> Verdict {
    let twin = case.twin.message();
    let accepts_twin = |client: &mut dyn crate::passive::Passive| {
        read(client, &twin)?;
        agree(client, &case.twin.epoch_authenticator)
    };
    let opened = guarded(|| peer.open(case).map(drop));
    if let Err(error) = opened {
        return Verdict::NotRun(short(&error));
    }
    let alone = guarded(|| accepts_twin(peer.before(case)?.as_mut()));
    if let Err(error) = alone {
        return Verdict::CannotTell(short(&error));
    }
    let mut client = match guarded(|| peer.before(case)) {
        Ok(client) => client,
        Err(error) => return Verdict::NotRun(short(&error)),
    };
    match guarded(|| read(client.as_mut(), &case.bad)) {
        Ok(()) => Verdict::Accepted,
        Err(error) => match guarded(|| accepts_twin(client.as_mut())) {
            Ok(()) => Verdict::Refused(short(&error)),
            Err(second) => Verdict::Stuck(short(&error), short(&second)),
        },
    }
}

/// The names in an error, without values: `ValidationError(InvalidSignature)` becomes
/// `ValidationError InvalidSignature`.
fn short(error: &str) -> String {
    let names = error.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = names.filter(|name| name.len() > 3 && name.starts_with(|letter: char| letter.is_ascii_uppercase()));
    let names: Vec<&str> = names.filter(|name| name.contains(|letter: char| letter.is_ascii_lowercase())).collect();
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique.truncate(3);
    unique.join(" ")
}

fn cell(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused(error) => format!("refused: {error}"),
        Verdict::Stuck(error, then) => format!("refused: {error}; then the twin too: {then}"),
        Verdict::Accepted => "**ACCEPTED**".to_owned(),
        Verdict::CannotTell(error) => format!("cannot be told, the twin is refused: {error}"),
        Verdict::NotRun(error) => format!("cannot be run: {error}"),
    }
}

/// The page.
pub fn document(results: &Results) -> String {
    let mut out = HEAD.to_owned();
    counts(results, &mut out);
    for (position, peer) in Peer::ALL.into_iter().enumerate() {
        listed(results, position, peer, &mut out);
    }
    out.push_str("\n## All cases\n");
    for (file, cases) in results {
        let _ = write!(out, "\n### `{file}.json`\n\n| row | suite | what is wrong | Keyroom | mls-rs | OpenMLS |\n");
        out.push_str("|---|---|---|---|---|---|\n");
        for Measured { case, verdicts } in cases {
            let [first, second] = verdicts.each_ref().map(cell);
            let (row, suite) = (case.row, case.opening.cipher_suite);
            let _ = writeln!(
                out,
                "| {row} | {suite} | {} | refused: {} | {first} | {second} |",
                case.description, case.error
            );
        }
    }
    out
}

const HEAD: &str = "\
# What other implementations do with the negative vectors

Measured by `cargo run --release -p keyroom-peers -- verdicts`, which also writes this page; a test compares the page with a fresh run. The cases are those of `vectors/negative/`, whose README says what is in them; rows are those of `conformance/`. Each peer plays the passive client of every case with its defaults, basic credentials, and the system's clock:

| | version | cryptography |
|---|---|---|
| Keyroom | this tree | its pure-Rust provider |
| mls-rs | 0.57.0, features `std`, `rfc_compliant`, `tree_index` | mls-rs-crypto-rustcrypto 0.23.0, `BasicIdentityProvider` |
| OpenMLS | 0.9.2 | openmls_rust_crypto 0.6.0 |

*Refused* means that an error was returned and that the good twin was accepted afterwards; the names are those in the error. *ACCEPTED* means that no error was returned. *Then the twin too* means that the same client refused the good message after the bad one, although it accepts it when nothing bad came before. *Cannot be told* means that the twin is refused in any case. A row that is a choice of ours or a recommendation of the RFC is in the table like the others: `conformance/` has the level of each row, and the application of a peer may be meant to check what its library does not.
";

fn counts(results: &Results, out: &mut String) {
    out.push_str("\n## In numbers\n\n| | refused | then the twin too | accepted | cannot be told | cannot be run |\n");
    out.push_str("|---|---|---|---|---|---|\n");
    let total: usize = results.iter().map(|(_, cases)| cases.len()).sum();
    let _ = writeln!(out, "| Keyroom | {total} | 0 | 0 | 0 | 0 |");
    for (position, peer) in Peer::ALL.into_iter().enumerate() {
        let mut counted = BTreeMap::new();
        for measured in results.iter().flat_map(|(_, cases)| cases) {
            *counted.entry(kind(&measured.verdicts[position])).or_insert(0) += 1;
        }
        let of = |kind| counted.get(&kind).copied().unwrap_or(0);
        let _ = writeln!(out, "| {} | {} | {} | {} | {} | {} |", peer.name(), of(0), of(1), of(2), of(3), of(4));
    }
}

fn kind(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Refused(_) => 0,
        Verdict::Stuck(..) => 1,
        Verdict::Accepted => 2,
        Verdict::CannotTell(_) => 3,
        Verdict::NotRun(_) => 4,
    }
}

/// What this peer accepts, and after what it refuses good messages.
fn listed(results: &Results, position: usize, peer: Peer, out: &mut String) {
    for (wanted, heading) in [(2, "accepts"), (1, "refuses, and then a good message too")] {
        let cases = results.iter().flat_map(|(_, cases)| cases);
        let found: Vec<_> = cases.filter(|measured| kind(&measured.verdicts[position]) == wanted).collect();
        let _ = write!(out, "\n## What {} {heading}\n\n", peer.name());
        if found.is_empty() {
            out.push_str("Nothing.\n");
        }
        // Each would have a line that says the same.
        let (welcomes, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|measured| wanted == 1 && measured.case.bad.kind == Kind::Welcome);
        if !welcomes.is_empty() {
            let _ =
                writeln!(out, "- a good Welcome for the same key package, after a bad one: {} cases", welcomes.len());
        }
        for Measured { case, .. } in found {
            let _ = writeln!(out, "- row {}, suite {}: {}", case.row, case.opening.cipher_suite, case.description);
        }
    }
}

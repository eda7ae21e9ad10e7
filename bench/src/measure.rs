//! The measurements of one group size.

use keyroom_awslc::AWSLC;
use keyroom_crypto::Provider;
use keyroom_wire::{CipherSuite, Decode, KeyPackage, Limits, MlsMessage};

use keyroom_insider::Populated;
use crate::subject::{Cost, Kind, SUITE, now};

/// What is measured, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Join,
    Commit,
    Process,
    EncryptFirst,
    DecryptFirst,
    Encrypt,
    Decrypt,
}

impl Operation {
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Join,
        Self::Commit,
        Self::Process,
        Self::EncryptFirst,
        Self::DecryptFirst,
        Self::Encrypt,
        Self::Decrypt,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Join => "join",
            Self::Commit => "commit",
            Self::Process => "process",
            Self::EncryptFirst => "encrypt, first of the epoch",
            Self::DecryptFirst => "decrypt, first of the epoch",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }
}

/// How often things are done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each round goes through all kinds, each time beginning with another.
    pub rounds: usize,
    /// Commits and messages after each join.
    pub repeats: usize,
    /// A kind is left out where its join or creation would probably take longer than this, in seconds.
    pub budget: f64,
    /// Part of the names of what is measured.
    pub only: Option<String>,
}

/// All costs of one kind at one size.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    costs: Vec<(Operation, Cost)>,
    /// What was left out because of the budget.
    pub left_out: Vec<Operation>,
}

impl Samples {
    fn push(&mut self, operation: Operation, cost: Cost) {
        self.costs.push((operation, cost));
    }

    /// The median of some property of an operation's costs.
    pub fn median(&self, operation: Operation, of: impl Fn(&Cost) -> f64) -> Option<f64> {
        let mut values: Vec<f64> =
            self.costs.iter().filter(|(done, _)| *done == operation).map(|(_, cost)| of(cost)).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            length if length % 2 == 1 => Some(values[middle]),
            _ => Some((values[middle - 1] + values[middle]) / 2.0),
        }
    }

    /// Work and storage together, in seconds.
    pub fn seconds(&self, operation: Operation) -> Option<f64> {
        self.median(operation, |cost| (cost.work + cost.store).as_secs_f64())
    }
}

/// Measures all kinds in a group of `members`. `smaller` holds the samples of the
/// last size and of the one before it, from which follows what would take too long.
pub fn measure(members: u32, plan: &Plan, smaller: [&[Samples]; 2]) -> Vec<Samples> {
    let mut rng = crate::rng(u64::from(members));
    let suite = AWSLC.suite(CipherSuite(SUITE)).expect("a suite of the provider");
    let populated = Populated::new(suite, members, now(), &mut rng);
    let mut samples = vec![Samples::default(); Kind::ALL.len()];
    for (index, samples) in samples.iter_mut().enumerate() {
        for operation in [Operation::Create, Operation::Join] {
            let before = smaller.map(|all| all.get(index).and_then(|samples| samples.seconds(operation)));
            if expected(before).is_some_and(|seconds| seconds > plan.budget) {
                samples.left_out.push(operation);
            }
        }
    }
    let key_packages: Vec<Vec<u8>> =
        (1..members).map(|index| Kind::KeyroomAwsLc.client(&format!("added {index}")).key_package()).collect();
    for round in 0..plan.rounds {
        for turn in 0..Kind::ALL.len() {
            let index = (round + turn) % Kind::ALL.len();
            let samples = &mut samples[index];
            let kind = Kind::ALL[index];
            if plan.only.as_ref().is_some_and(|only| !kind.name().contains(only)) {
                continue;
            }
            // The largest creation is not repeated: it takes far longer than it varies.
            let creations = match members {
                ..1_000 => plan.repeats,
                1_000..10_000 => 1,
                _ => usize::from(round == 0),
            };
            if !samples.left_out.contains(&Operation::Create) {
                for _ in 0..creations {
                    samples.push(Operation::Create, kind.client("founder").create(&key_packages));
                }
            }
            if !samples.left_out.contains(&Operation::Join) {
                life(kind, &populated, plan, samples, &mut rng);
            }
        }
    }
    samples
}

/// By how much the last two sizes differ, so will the next.
fn expected(before: [Option<f64>; 2]) -> Option<f64> {
    match before {
        [Some(last), Some(earlier)] if earlier > 0.0 => Some(last * (last / earlier)),
        [Some(last), _] => Some(last * 10.0),
        // What has been left out once takes no less now. At the first size nothing is known.
        [None, Some(_)] => Some(f64::INFINITY),
        [None, None] => None,
    }
}

/// Two clients of a kind join the full group; one commits and sends, the other follows and reads.
fn life(kind: Kind, populated: &Populated, plan: &Plan, samples: &mut Samples, rng: &mut chacha20::ChaCha20Rng) {
    let mut guests = ["first guest", "second guest"].map(|name| kind.client(name));
    let packages = guests.each_mut().map(|guest| parse(&guest.key_package()));
    let welcome = populated.welcome(packages.each_ref(), rng);
    for guest in &mut guests {
        samples.push(Operation::Join, guest.join(&welcome));
    }
    let [first, second] = &mut guests;
    assert_eq!(first.epoch_authenticator(), second.epoch_authenticator());
    let data = [0x2a; 100];
    for _ in 0..plan.repeats {
        let (message, cost) = first.commit();
        samples.push(Operation::Commit, cost);
        samples.push(Operation::Process, second.process(&message));
        for (encrypt, decrypt) in [
            (Operation::EncryptFirst, Operation::DecryptFirst),
            (Operation::Encrypt, Operation::Decrypt),
            (Operation::Encrypt, Operation::Decrypt),
        ] {
            let (message, cost) = first.encrypt(&data);
            samples.push(encrypt, cost);
            samples.push(decrypt, second.decrypt(&message, &data));
        }
    }
    assert_eq!(first.epoch_authenticator(), second.epoch_authenticator());
}

fn parse(message: &[u8]) -> KeyPackage {
    match MlsMessage::from_bytes(message, &Limits::default()).unwrap() {
        MlsMessage::KeyPackage(key_package) => key_package,
        other => panic!("a key package was expected, not {other:?}"),
    }
}

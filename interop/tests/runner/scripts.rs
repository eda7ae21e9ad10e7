//! Script files in the working group's form, read from `KEYROOM_SCENARIOS`.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyroom_interop::Client;
use keyroom_interop::messages::{Extension, ProposalDescription};
use keyroom_rustcrypto::RUSTCRYPTO;
use serde_json::{Map, Value};

use crate::runner::{
    Entrance, FullCommit, Handshakes, Outcome, Runner, Said, StoredPsk, add, extensions, external_psk, reinit, remove,
    resumption_psk,
};
use crate::stage::{server, suites};
use crate::successors::Succession;

/// What one suite, form of handshakes and cast made of a script.
struct Performance {
    cipher_suite: u32,
    handshakes: Handshakes,
    turn: usize,
    outcome: Outcome<()>,
}

#[tokio::test]
async fn the_working_groups_scripts_pass() {
    let Ok(folder) = std::env::var("KEYROOM_SCENARIOS") else {
        println!("skipped: KEYROOM_SCENARIOS names no folder of scripts");
        return;
    };
    let mut clients = vec![Client::connect(server(&RUSTCRYPTO, 5).await).await.unwrap()];
    for peer in std::env::var("KEYROOM_PEERS").unwrap_or_default().split(',').filter(|peer| !peer.is_empty()) {
        clients.push(Client::connect(peer.parse().unwrap()).await.unwrap());
    }
    let shared = shared_suites(&mut clients).await;
    let mut failures = 0;
    for (file, scripts) in read(Path::new(&folder)) {
        for (name, script) in scripts {
            failures += report(&file, &name, &perform(&clients, &shared, &script).await);
        }
    }
    assert_eq!(failures, 0, "scripts failed");
}

/// The suites that everybody has; `KEYROOM_SUITE` picks one.
async fn shared_suites(clients: &mut [Client]) -> Vec<u32> {
    let mut shared = suites(&mut clients[0]).await;
    for client in clients.iter_mut().skip(1) {
        let theirs = suites(client).await;
        shared.retain(|suite| theirs.contains(suite));
    }
    match std::env::var("KEYROOM_SUITE").ok().and_then(|suite| suite.parse::<u32>().ok()) {
        Some(suite) => shared.into_iter().filter(|shared| *shared == suite).collect(),
        None => shared,
    }
}

/// All scripts of all files.
fn read(folder: &Path) -> BTreeMap<String, BTreeMap<String, Vec<Value>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let mut file = plain(serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap());
            let scripts = serde_json::from_value(file["scripts"].take()).unwrap();
            files.insert(path.file_name().unwrap().to_string_lossy().into_owned(), scripts);
        }
    }
    files
}

/// Keys in small letters without underscores: scripts are not of one mind about them. The names of
/// scripts suffer the same, which does no harm.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object.into_iter().map(|(key, value)| (key.to_lowercase().replace('_', ""), plain(value))).collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        other => other,
    }
}

async fn perform(clients: &[Client], shared: &[u32], script: &[Value]) -> Vec<Performance> {
    let mut performances = Vec::new();
    for cipher_suite in shared {
        for handshakes in [Handshakes::Public, Handshakes::Private] {
            for turn in 0..clients.len() {
                let runner = Runner::new(clients.to_vec(), *cipher_suite, handshakes).turned(turn);
                let mut player = Player { runner, shared: shared.to_vec(), props: Vec::new() };
                let outcome = player.play(script).await;
                performances.push(Performance { cipher_suite: *cipher_suite, handshakes, turn, outcome });
            }
        }
    }
    performances
}

/// Prints what became of a script; gives the number of failures.
fn report(file: &str, name: &str, performances: &[Performance]) -> usize {
    let failed: Vec<&Performance> = performances.iter().filter(|one| one.outcome.is_err()).collect();
    println!("{file} {name}: {} of {} passed", performances.len() - failed.len(), performances.len());
    for Performance { cipher_suite, handshakes, turn, outcome } in &failed {
        let why = outcome.as_ref().unwrap_err();
        println!("    suite {cipher_suite}, {handshakes:?}, cast {turn}: {why}");
    }
    failed.len()
}

/// What a step left behind for later ones.
#[derive(Default)]
struct Props {
    key_package: Option<Vec<u8>>,
    proposal: Option<Vec<u8>>,
    psk: Option<StoredPsk>,
    said: Option<Said>,
}

struct Player {
    runner: Runner,
    shared: Vec<u32>,
    props: Vec<Props>,
}

impl Player {
    async fn play(&mut self, script: &[Value]) -> Outcome<()> {
        for (number, step) in script.iter().enumerate() {
            let step = Step(step.as_object().ok_or("a step is an object")?);
            let props = self.step(step).await.map_err(|why| format!("step {number}: {why}"))?;
            self.props.push(props);
        }
        self.runner.free().await
    }

    async fn step(&mut self, step: Step<'_>) -> Outcome<Props> {
        let actor = step.text("actor");
        let mut props = Props::default();
        match step.text("action") {
            "createGroup" => self.runner.create_group(actor, &step.names("members")).await?,
            "createKeyPackage" => props.key_package = Some(self.runner.key_package(actor).await?),
            "installExternalPSK" => props.psk = Some(self.runner.install_psk(&step.names("clients")).await?),
            "fullCommit" => self.commit(step).await?,
            "externalJoin" => self.external_join(step).await?,
            "protect" => {
                let (header, text) = (step.text("authenticateddata"), step.text("plaintext"));
                props.said = Some(self.runner.protect(actor, header, text).await?);
            }
            "unprotect" => {
                let said = self.prop(step.number("ciphertext"))?.said.clone().ok_or("no message at that step")?;
                self.runner.unprotect(actor, &said).await?;
            }
            "reinit" => self.reinit(step).await?,
            "branch" => {
                let (members, tree) = (step.names("members"), step.flag("externaltree"));
                for (actor, state_id) in self.runner.branch(actor, &members, step.extensions()?, tree).await? {
                    let request = keyroom_interop::messages::FreeRequest { state_id };
                    crate::runner::call!(self.runner, &actor, free, request)?;
                }
            }
            _ => props.proposal = Some(self.proposal(step).await?),
        }
        Ok(props)
    }

    async fn proposal(&mut self, step: Step<'_>) -> Outcome<Vec<u8>> {
        let actor = step.text("actor");
        match step.text("action") {
            "addProposal" => {
                let package = self.key_package(step)?;
                self.runner.add(actor, package).await
            }
            "updateProposal" => self.runner.update(actor).await,
            "removeProposal" => self.runner.remove(actor, step.text("removed")).await,
            "externalPSKProposal" => {
                let psk = self.psk(step.number("pskid"))?;
                self.runner.external_psk(actor, &psk).await
            }
            "resumptionPSKProposal" => self.runner.resumption_psk(actor, step.number("epochid")).await,
            "groupContextExtensionsProposal" => self.runner.extensions(actor, step.extensions()?).await,
            "newMemberAddProposal" => self.runner.new_member_add(actor, step.text("joiner")).await,
            "addExternalSigner" => self.runner.add_external_signer(actor, step.text("signer")).await,
            "externalSignerProposal" => {
                let description = self.described(step.inner("description")?)?;
                self.runner.propose_externally(actor, step.text("member"), description).await
            }
            other => Err(format!("the action {other} is not known")),
        }
    }

    async fn commit(&mut self, step: Step<'_>) -> Outcome<()> {
        let mut by_value = Vec::new();
        for description in step.objects("byvalue") {
            by_value.push(self.described(description)?);
        }
        let full = FullCommit {
            actor: step.text("actor"),
            by_reference: self.proposals(&step.numbers("byreference"))?,
            by_value,
            members: &step.names("members"),
            joiners: &step.names("joiners"),
            force_path: step.flag("forcepath"),
            external_tree: step.flag("externaltree"),
        };
        self.runner.commit(full).await.map(drop)
    }

    async fn external_join(&mut self, step: Step<'_>) -> Outcome<()> {
        let psks = step.numbers("psks").into_iter().map(|number| self.psk(number)).collect::<Outcome<_>>()?;
        let entrance = Entrance {
            actor: step.text("actor"),
            joiner: step.text("joiner"),
            members: &step.names("members"),
            external_tree: step.flag("externaltree"),
            remove_prior: step.flag("removeprior"),
            psks,
        };
        self.runner.external_join(entrance).await.map(drop)
    }

    async fn reinit(&mut self, step: Step<'_>) -> Outcome<()> {
        let proposer = step.text("proposer");
        let proposal = if proposer.is_empty() {
            self.proposals(&[step.number("externalreinitproposal")])?.remove(0)
        } else {
            let (group_id, cipher_suite) = self.successor(step)?;
            self.runner.propose_reinit(proposer, group_id, cipher_suite, step.extensions()?).await?
        };
        let mut members = step.names("members");
        if !proposer.is_empty() {
            members.push(proposer);
        }
        members.push(step.text("committer"));
        members.retain(|actor| *actor != step.text("welcomer"));
        let succession = Succession {
            committer: step.text("committer"),
            welcomer: step.text("welcomer"),
            members: &members,
            force_path: step.flag("forcepath"),
            external_tree: step.flag("externaltree"),
        };
        self.runner.reinit(proposal, succession).await
    }

    /// Id and suite of the group that a step reinitialises into; the suite is in force from then on.
    fn successor(&mut self, step: Step<'_>) -> Outcome<(Vec<u8>, u32)> {
        let mut group_id = self.runner.group_id.clone();
        if step.flag("changegroupid") {
            group_id.extend_from_slice(b"++");
        }
        if step.flag("changeciphersuite") {
            let current = self.runner.suite;
            let other = self.shared.iter().find(|suite| **suite != current);
            self.runner.suite = *other.ok_or("there is no other suite")?;
        }
        Ok((group_id, self.runner.suite))
    }

    fn described(&mut self, step: Step<'_>) -> Outcome<ProposalDescription> {
        Ok(match step.text("proposaltype") {
            "add" => add(self.key_package(step)?),
            "remove" => remove(step.text("removed")),
            "externalPSK" => external_psk(&self.psk(step.number("pskid"))?),
            "resumptionPSK" => resumption_psk(step.number("epochid")),
            "groupContextExtensions" => extensions(step.extensions()?),
            "reinit" => {
                let (group_id, cipher_suite) = self.successor(step)?;
                reinit(group_id, cipher_suite, step.extensions()?)
            }
            other => return Err(format!("the proposal type {other} is not known")),
        })
    }

    fn prop(&self, number: u64) -> Outcome<&Props> {
        let place = usize::try_from(number).ok();
        place.and_then(|place| self.props.get(place)).ok_or_else(|| format!("there is no step {number} yet"))
    }

    fn key_package(&self, step: Step<'_>) -> Outcome<Vec<u8>> {
        self.prop(step.number("keypackage"))?.key_package.clone().ok_or_else(|| "no key package at that step".into())
    }

    fn psk(&self, number: u64) -> Outcome<StoredPsk> {
        self.prop(number)?.psk.clone().ok_or_else(|| "no PSK at that step".into())
    }

    fn proposals(&self, numbers: &[u64]) -> Outcome<Vec<Vec<u8>>> {
        let one = |number: &u64| self.prop(*number)?.proposal.clone().ok_or_else(|| "no proposal at that step".into());
        numbers.iter().map(one).collect()
    }
}

/// A step, or a description inside one. What is absent is empty.
#[derive(Clone, Copy)]
struct Step<'a>(&'a Map<String, Value>);

impl<'a> Step<'a> {
    fn text(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn flag(self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    fn number(self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    fn list(self, key: &str) -> &'a [Value] {
        self.0.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn names(self, key: &str) -> Vec<&'a str> {
        self.list(key).iter().filter_map(Value::as_str).collect()
    }

    fn numbers(self, key: &str) -> Vec<u64> {
        self.list(key).iter().filter_map(Value::as_u64).collect()
    }

    fn objects(self, key: &str) -> impl Iterator<Item = Step<'a>> {
        self.list(key).iter().filter_map(Value::as_object).map(Step)
    }

    fn inner(self, key: &str) -> Outcome<Step<'a>> {
        self.0.get(key).and_then(Value::as_object).map(Step).ok_or_else(|| format!("{key} is missing"))
    }

    fn extensions(self) -> Outcome<Vec<Extension>> {
        self.objects("extensions")
            .map(|step| {
                let extension_type = u32::try_from(step.number("extensiontype")).map_err(|error| error.to_string())?;
                let extension_data = STANDARD.decode(step.text("extensiondata")).map_err(|error| error.to_string())?;
                Ok(Extension { extension_type, extension_data })
            })
            .collect()
    }
}

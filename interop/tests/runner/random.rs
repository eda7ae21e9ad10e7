//! A random history: members of both handshake forms propose, commit, join, leave and talk until the
//! group is large.

use std::sync::Arc;

use keyroom_awslc::AWSLC;
use keyroom_crypto::{CryptoRng, Provider};
use keyroom_interop::Client;
use keyroom_interop::messages::ProposalDescription;
use keyroom_rustcrypto::RUSTCRYPTO;

use crate::runner::{Entrance, FullCommit, Handshakes, Runner, add, empty_lists, extensions, remove, resumption_psk};
use crate::stage::{chosen, client, server, suites};

/// Members that a history reaches.
const MANY: usize = 200;

/// Members in suites that only the pure-Rust provider has: whoever joins verifies a signature of each
/// member, and there it takes milliseconds.
const FEW: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_every_suite_grow_large() {
    let available = suites(&mut client().await).await;
    let histories = chosen(&available).into_iter().map(|suite| {
        let fast = AWSLC.suite(keyroom_wire::CipherSuite(u16::try_from(suite).unwrap())).is_ok();
        let provider: &'static dyn Provider = if fast { &AWSLC } else { &RUSTCRYPTO };
        let members = environment("KEYROOM_COUNT").unwrap_or(if fast { MANY } else { FEW });
        tokio::spawn(grow(provider, suite, members, environment("KEYROOM_SEED").unwrap_or(1)))
    });
    for history in histories.collect::<Vec<_>>() {
        history.await.unwrap();
    }
}

/// Both providers stand behind one group.
#[tokio::test]
async fn a_group_grows_across_both_providers() {
    let mut clients = Vec::new();
    for (provider, seed) in [(&RUSTCRYPTO as &'static dyn Provider, 3), (&AWSLC, 4)] {
        clients.push(Client::connect(server(provider, seed).await).await.unwrap());
    }
    let shared = suites(&mut clients[1]).await;
    for suite in shared.into_iter().filter(|suite| RUSTCRYPTO.suite(keyroom_wire::CipherSuite(*suite as u16)).is_ok()) {
        let mut history = History::new(clients.clone(), suite, 7);
        history.run(12).await;
    }
}

fn environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

async fn grow(provider: &'static dyn Provider, suite: u32, members: usize, seed: u64) {
    let client = Client::connect(server(provider, seed).await).await.unwrap();
    let mut history = History::new(vec![client], suite, seed);
    history.run(members).await;
    println!("suite {suite}: {} members after {} epochs", history.members.len(), history.epochs);
}

struct History {
    runner: Runner,
    rng: Box<dyn CryptoRng + Send>,
    members: Vec<Arc<str>>,
    names: usize,
    epochs: u64,
    seed: u64,
}

/// What one commit is made of.
#[derive(Default)]
struct Plan {
    by_reference: Vec<Vec<u8>>,
    by_value: Vec<ProposalDescription>,
    joiners: Vec<Arc<str>>,
    removed: Vec<Arc<str>>,
    updated: Vec<Arc<str>>,
}

impl History {
    fn new(clients: Vec<Client>, suite: u32, seed: u64) -> Self {
        let runner = Runner::new(clients, suite, Handshakes::Public);
        let rng = Box::new(keyroom_vectors::rng(seed.wrapping_mul(1000).wrapping_add(u64::from(suite))));
        Self { runner, rng, members: Vec::new(), names: 0, epochs: 0, seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.rng.fill_bytes(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }

    fn someone(&mut self) -> Arc<str> {
        let place = self.below(self.members.len());
        self.members[place].clone()
    }

    fn new_name(&mut self) -> Arc<str> {
        self.names += 1;
        format!("actor {}", self.names).into()
    }

    /// Whoever joins next sends handshake messages in one form or the other.
    fn toss_handshakes(&mut self) {
        self.runner.handshakes = if self.below(2) == 0 { Handshakes::Public } else { Handshakes::Private };
    }

    async fn run(&mut self, target: usize) {
        let founder = self.new_name();
        self.toss_handshakes();
        self.runner.create_group(&founder, &[]).await.unwrap();
        self.members.push(founder);
        let mut rounds_at_size = 0;
        while rounds_at_size < 3 {
            let outcome = match self.below(6) {
                0 if self.members.len() > 1 => self.enter_from_outside().await,
                _ => self.commit(target).await,
            };
            outcome.unwrap_or_else(|why| panic!("KEYROOM_SEED={} epoch {}: {why}", self.seed, self.epochs));
            self.epochs += 1;
            rounds_at_size += usize::from(self.members.len() >= target);
            if self.members.len() > 1 {
                self.talk().await.unwrap();
            }
        }
        let all = self.members.clone();
        self.runner.agree(&all.iter().map(|name| &**name).collect::<Vec<_>>()).await.unwrap();
        self.runner.free().await.unwrap();
    }

    async fn commit(&mut self, target: usize) -> Result<(), String> {
        let committer = self.someone();
        let mut plan = Plan::default();
        for _ in 0..self.below(4) {
            self.propose(&committer, &mut plan).await?;
        }
        let missing = target.saturating_sub(self.members.len());
        if missing > 0 {
            for _ in 0..self.below(missing.min(2 + target / 8)) + 1 {
                let (name, package) = self.newcomer().await?;
                plan.by_value.push(add(package));
                plan.joiners.push(name);
            }
        } else if let Some(removed) = self.removable(&committer, &plan) {
            plan.by_value.push(remove(&removed));
            plan.removed.push(removed);
        }
        if plan.joiners.is_empty() {
            // The resumption PSK of this epoch: everybody has it, but nobody who joins now.
            plan.by_value.push(resumption_psk(self.epochs));
        }
        if self.below(8) == 0 {
            plan.by_value.push(extensions(if self.below(2) == 0 { empty_lists() } else { Vec::new() }));
        }
        self.finish(&committer, plan).await
    }

    async fn finish(&mut self, committer: &Arc<str>, plan: Plan) -> Result<(), String> {
        let stays = |name: &&Arc<str>| !plan.removed.contains(*name) && *name != committer;
        let readers: Vec<Arc<str>> = self.members.iter().filter(stays).cloned().collect();
        let members: Vec<&str> = readers.iter().map(|name| &**name).collect();
        let joiners: Vec<&str> = plan.joiners.iter().map(|name| &**name).collect();
        self.toss_handshakes();
        let (force_path, external_tree) = (self.below(2) == 0, self.below(3) == 0);
        let full = FullCommit {
            actor: committer,
            by_reference: plan.by_reference,
            by_value: plan.by_value,
            members: &members,
            joiners: &joiners,
            force_path,
            external_tree,
        };
        self.runner.commit(full).await?;
        self.members.retain(|name| !plan.removed.contains(name));
        self.members.extend(plan.joiners);
        Ok(())
    }

    /// A proposal by reference of a random member.
    async fn propose(&mut self, committer: &Arc<str>, plan: &mut Plan) -> Result<(), String> {
        let proposer = self.someone();
        match self.below(3) {
            0 => {
                let (name, package) = self.newcomer().await?;
                plan.by_reference.push(self.runner.add(&proposer, package).await?);
                plan.joiners.push(name);
            }
            1 if proposer != *committer && !plan.removed.contains(&proposer) && !plan.updated.contains(&proposer) => {
                plan.by_reference.push(self.runner.update(&proposer).await?);
                plan.updated.push(proposer);
            }
            2 => {
                if let Some(removed) = self.removable(committer, plan) {
                    plan.by_reference.push(self.runner.remove(&proposer, &removed).await?);
                    plan.removed.push(removed);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A member whom nothing else in the commit concerns.
    fn removable(&mut self, committer: &Arc<str>, plan: &Plan) -> Option<Arc<str>> {
        let candidate = self.someone();
        let taken = candidate == *committer || plan.removed.contains(&candidate) || plan.updated.contains(&candidate);
        (!taken && self.members.len() > 3).then_some(candidate)
    }

    async fn newcomer(&mut self) -> Result<(Arc<str>, Vec<u8>), String> {
        let name = self.new_name();
        let package = self.runner.key_package(&name).await?;
        Ok((name, package))
    }

    /// Somebody new joins by external commit, or a member comes back with a new key.
    async fn enter_from_outside(&mut self) -> Result<(), String> {
        let host = self.someone();
        let back = self.someone();
        let remove_prior = self.below(2) == 0 && back != host;
        let joiner = if remove_prior { back } else { self.new_name() };
        let readers: Vec<Arc<str>> =
            self.members.iter().filter(|name| **name != host && **name != joiner).cloned().collect();
        let members: Vec<&str> = readers.iter().map(|name| &**name).collect();
        self.toss_handshakes();
        let external_tree = self.below(2) == 0;
        let entrance = Entrance {
            actor: &host,
            joiner: &joiner,
            members: &members,
            external_tree,
            remove_prior,
            psks: Vec::new(),
        };
        self.runner.external_join(entrance).await?;
        if !remove_prior {
            self.members.push(joiner);
        }
        Ok(())
    }

    /// One member writes, three read.
    async fn talk(&mut self) -> Result<(), String> {
        let writer = self.someone();
        let said = self.runner.protect(&writer, "header", "text").await?;
        let mut readers: Vec<Arc<str>> = (0..3).map(|_| self.someone()).filter(|reader| *reader != writer).collect();
        readers.sort_unstable();
        readers.dedup();
        for reader in readers {
            self.runner.unprotect(&reader, &said).await?;
        }
        Ok(())
    }
}

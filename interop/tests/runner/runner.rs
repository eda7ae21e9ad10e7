//! A runner of scripts: it calls the actors' servers and compares what they answer.

use std::collections::BTreeMap;

use keyroom_interop::Client;
use keyroom_interop::messages::*;
use tonic::Status;

/// Why a script stopped.
pub type Outcome<T> = Result<T, String>;

/// In which form members send handshake messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshakes {
    Public,
    Private,
}

/// What a runner remembers of an actor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seat {
    pub state: Option<u32>,
    pub transaction: Option<u32>,
    pub signer: Option<u32>,
}

/// Plays one script.
pub struct Runner {
    clients: Vec<Client>,
    /// Which server plays an actor; those who are not in it are dealt out in turn.
    cast: BTreeMap<String, usize>,
    turn: usize,
    pub suite: u32,
    pub handshakes: Handshakes,
    pub group_id: Vec<u8>,
    pub seats: BTreeMap<String, Seat>,
    counter: u32,
}

/// A PSK that actors have been given.
#[derive(Clone, Debug)]
pub struct StoredPsk {
    pub id: Vec<u8>,
    pub secret: Vec<u8>,
}

/// A commit and who takes part in it.
#[derive(Clone, Debug, Default)]
pub struct FullCommit<'a> {
    pub actor: &'a str,
    pub by_reference: Vec<Vec<u8>>,
    pub by_value: Vec<ProposalDescription>,
    pub members: &'a [&'a str],
    pub joiners: &'a [&'a str],
    pub force_path: bool,
    pub external_tree: bool,
}

/// An external join and who takes part in it.
#[derive(Clone, Debug, Default)]
pub struct Entrance<'a> {
    pub actor: &'a str,
    pub joiner: &'a str,
    pub members: &'a [&'a str],
    pub external_tree: bool,
    pub remove_prior: bool,
    pub psks: Vec<StoredPsk>,
}

/// A message to be read, and what it said.
#[derive(Clone, Debug)]
pub struct Said {
    pub ciphertext: Vec<u8>,
    pub authenticated_data: Vec<u8>,
    pub plaintext: Vec<u8>,
}

pub fn failed(call: &str, actor: &str, status: &Status) -> String {
    format!("{call} at {actor}: {:?}: {}", status.code(), status.message())
}

/// One call: at whom, which, with what.
macro_rules! call {
    ($runner:expr, $actor:expr, $method:ident, $request:expr) => {{
        let actor: &str = $actor;
        let request = $request;
        let client = $runner.client(actor);
        client.$method(request).await.map_err(|status| $crate::runner::failed(stringify!($method), actor, &status))
    }};
}
pub(crate) use call;

impl Runner {
    pub fn new(clients: Vec<Client>, suite: u32, handshakes: Handshakes) -> Self {
        Self {
            clients,
            cast: BTreeMap::new(),
            turn: 0,
            suite,
            handshakes,
            group_id: Vec::new(),
            seats: BTreeMap::new(),
            counter: 0,
        }
    }

    /// Begins dealing out servers at another one.
    pub fn turned(self, turn: usize) -> Self {
        Self { turn, ..self }
    }

    /// The server that plays an actor.
    pub fn client(&mut self, actor: &str) -> &mut Client {
        let next = (self.turn + self.cast.len()) % self.clients.len();
        let place = *self.cast.entry(actor.to_owned()).or_insert(next);
        &mut self.clients[place]
    }

    pub fn seat(&mut self, actor: &str) -> &mut Seat {
        self.seats.entry(actor.to_owned()).or_default()
    }

    pub fn state(&self, actor: &str) -> u32 {
        self.seats.get(actor).and_then(|seat| seat.state).unwrap_or(0)
    }

    fn encrypts(&self) -> bool {
        self.handshakes == Handshakes::Private
    }

    /// Bytes that no other call gave.
    pub fn fresh(&mut self, what: &str) -> Vec<u8> {
        self.counter += 1;
        format!("{what} {} of suite {}", self.counter, self.suite).into_bytes()
    }

    pub async fn create_group(&mut self, actor: &str, members: &[&str]) -> Outcome<()> {
        self.group_id = self.fresh("group");
        let request = CreateGroupRequest {
            group_id: self.group_id.clone(),
            cipher_suite: self.suite,
            encrypt_handshake: self.encrypts(),
            identity: actor.as_bytes().to_vec(),
        };
        self.seat(actor).state = Some(call!(self, actor, create_group, request)?.state_id);
        if members.is_empty() {
            return Ok(());
        }
        let mut by_value = Vec::new();
        for member in members {
            by_value.push(add(self.key_package(member).await?));
        }
        self.commit(FullCommit { actor, by_value, joiners: members, ..FullCommit::default() }).await.map(drop)
    }

    pub async fn key_package(&mut self, actor: &str) -> Outcome<Vec<u8>> {
        let request = CreateKeyPackageRequest { cipher_suite: self.suite, identity: actor.as_bytes().to_vec() };
        let made = call!(self, actor, create_key_package, request)?;
        self.seat(actor).transaction = Some(made.transaction_id);
        Ok(made.key_package)
    }

    pub async fn add(&mut self, actor: &str, key_package: Vec<u8>) -> Outcome<Vec<u8>> {
        let request = AddProposalRequest { state_id: self.state(actor), key_package };
        Ok(call!(self, actor, add_proposal, request)?.proposal)
    }

    pub async fn update(&mut self, actor: &str) -> Outcome<Vec<u8>> {
        let request = UpdateProposalRequest { state_id: self.state(actor) };
        Ok(call!(self, actor, update_proposal, request)?.proposal)
    }

    pub async fn remove(&mut self, actor: &str, removed: &str) -> Outcome<Vec<u8>> {
        let request = RemoveProposalRequest { state_id: self.state(actor), removed_id: removed.as_bytes().to_vec() };
        Ok(call!(self, actor, remove_proposal, request)?.proposal)
    }

    pub async fn external_psk(&mut self, actor: &str, psk: &StoredPsk) -> Outcome<Vec<u8>> {
        let request = ExternalPskProposalRequest { state_id: self.state(actor), psk_id: psk.id.clone() };
        Ok(call!(self, actor, external_psk_proposal, request)?.proposal)
    }

    pub async fn resumption_psk(&mut self, actor: &str, epoch_id: u64) -> Outcome<Vec<u8>> {
        let request = ResumptionPskProposalRequest { state_id: self.state(actor), epoch_id };
        Ok(call!(self, actor, resumption_psk_proposal, request)?.proposal)
    }

    pub async fn extensions(&mut self, actor: &str, extensions: Vec<Extension>) -> Outcome<Vec<u8>> {
        let request = GroupContextExtensionsProposalRequest { state_id: self.state(actor), extensions };
        Ok(call!(self, actor, group_context_extensions_proposal, request)?.proposal)
    }

    /// Gives the same new PSK to all of them, members or joiners.
    pub async fn install_psk(&mut self, actors: &[&str]) -> Outcome<StoredPsk> {
        let psk = StoredPsk { id: self.fresh("psk"), secret: self.fresh("secret") };
        for actor in actors {
            let seat = *self.seat(actor);
            let request = StorePskRequest {
                state_or_transaction_id: seat.state.or(seat.transaction).unwrap_or(0),
                psk_id: psk.id.clone(),
                psk_secret: psk.secret.clone(),
            };
            call!(self, actor, store_psk, request)?;
        }
        Ok(psk)
    }

    /// Commits, applies the commit at the committer and all members, and lets the joiners in. All
    /// must agree on the new epoch. Gives the commit.
    pub async fn commit(&mut self, full: FullCommit<'_>) -> Outcome<CommitResponse> {
        let request = CommitRequest {
            state_id: self.state(full.actor),
            by_reference: full.by_reference.clone(),
            by_value: full.by_value.clone(),
            force_path: full.force_path,
            external_tree: full.external_tree,
        };
        let made = call!(self, full.actor, commit, request)?;
        let request = HandlePendingCommitRequest { state_id: self.state(full.actor) };
        let applied = call!(self, full.actor, handle_pending_commit, request)?;
        self.seat(full.actor).state = Some(applied.state_id);
        for member in full.members {
            self.follow(member, &full.by_reference, &made.commit, &applied.epoch_authenticator).await?;
        }
        let ratchet_tree = if full.external_tree { made.ratchet_tree.clone() } else { Vec::new() };
        for joiner in full.joiners {
            let seat = *self.seat(joiner);
            let request = JoinGroupRequest {
                transaction_id: seat.transaction.ok_or_else(|| format!("{joiner} has no key package"))?,
                welcome: made.welcome.clone(),
                encrypt_handshake: self.encrypts(),
                identity: joiner.as_bytes().to_vec(),
                ratchet_tree: ratchet_tree.clone(),
            };
            let joined = call!(self, joiner, join_group, request)?;
            agree(joiner, &joined.epoch_authenticator, &applied.epoch_authenticator)?;
            self.seat(joiner).state = Some(joined.state_id);
        }
        Ok(made)
    }

    /// Applies a commit at a member, who must agree with the committer.
    pub async fn follow(
        &mut self,
        member: &str,
        proposals: &[Vec<u8>],
        commit: &[u8],
        authenticator: &[u8],
    ) -> Outcome<()> {
        let state_id = self.state(member);
        let request = HandleCommitRequest { state_id, proposal: proposals.to_vec(), commit: commit.to_vec() };
        let handled = call!(self, member, handle_commit, request)?;
        agree(member, &handled.epoch_authenticator, authenticator)?;
        self.seat(member).state = Some(handled.state_id);
        Ok(())
    }

    /// A GroupInfo, and the tree if it travels apart.
    pub async fn group_info(&mut self, actor: &str, external_tree: bool) -> Outcome<GroupInfoResponse> {
        let request = GroupInfoRequest { state_id: self.state(actor), external_tree };
        call!(self, actor, group_info, request)
    }

    /// Joins by external commit. The actor and the members must agree with the joiner. Gives the commit.
    pub async fn external_join(&mut self, entrance: Entrance<'_>) -> Outcome<Vec<u8>> {
        let joiner = entrance.joiner;
        let info = self.group_info(entrance.actor, entrance.external_tree).await?;
        let psk = |psk: &StoredPsk| PreSharedKey { psk_id: psk.id.clone(), psk_secret: psk.secret.clone() };
        let request = ExternalJoinRequest {
            group_info: info.group_info,
            ratchet_tree: info.ratchet_tree,
            encrypt_handshake: self.encrypts(),
            identity: joiner.as_bytes().to_vec(),
            remove_prior: entrance.remove_prior,
            psks: entrance.psks.iter().map(psk).collect(),
        };
        let joined = call!(self, joiner, external_join, request)?;
        self.seat(joiner).state = Some(joined.state_id);
        for member in entrance.members.iter().chain([&entrance.actor]) {
            self.follow(member, &[], &joined.commit, &joined.epoch_authenticator).await?;
        }
        Ok(joined.commit)
    }

    pub async fn protect(&mut self, actor: &str, authenticated_data: &str, plaintext: &str) -> Outcome<Said> {
        let (authenticated_data, plaintext) = (authenticated_data.as_bytes().to_vec(), plaintext.as_bytes().to_vec());
        let request = ProtectRequest {
            state_id: self.state(actor),
            authenticated_data: authenticated_data.clone(),
            plaintext: plaintext.clone(),
        };
        let ciphertext = call!(self, actor, protect, request)?.ciphertext;
        Ok(Said { ciphertext, authenticated_data, plaintext })
    }

    /// Reads a message, which must say what was sent.
    pub async fn unprotect(&mut self, actor: &str, said: &Said) -> Outcome<()> {
        let request = UnprotectRequest { state_id: self.state(actor), ciphertext: said.ciphertext.clone() };
        let read = call!(self, actor, unprotect, request)?;
        let same = (&read.plaintext, &read.authenticated_data) == (&said.plaintext, &said.authenticated_data);
        if same { Ok(()) } else { Err(format!("{actor} read something else than was sent")) }
    }

    pub async fn new_member_add(&mut self, actor: &str, joiner: &str) -> Outcome<Vec<u8>> {
        let group_info = self.group_info(actor, false).await?.group_info;
        let request = NewMemberAddProposalRequest { group_info, identity: joiner.as_bytes().to_vec() };
        let made = call!(self, joiner, new_member_add_proposal, request)?;
        self.seat(joiner).transaction = Some(made.transaction_id);
        Ok(made.proposal)
    }

    /// Makes an external signer, and the proposal to trust it.
    pub async fn add_external_signer(&mut self, actor: &str, signer: &str) -> Outcome<Vec<u8>> {
        let identity = signer.as_bytes().to_vec();
        let request = CreateExternalSignerRequest { cipher_suite: self.suite, identity };
        let made = call!(self, signer, create_external_signer, request)?;
        self.seat(signer).signer = Some(made.signer_id);
        let request = AddExternalSignerRequest { state_id: self.state(actor), external_sender: made.external_sender };
        Ok(call!(self, actor, add_external_signer, request)?.proposal)
    }

    /// A proposal of an external signer, from what a member shows of the group.
    pub async fn propose_externally(
        &mut self,
        signer: &str,
        member: &str,
        description: ProposalDescription,
    ) -> Outcome<Vec<u8>> {
        let info = self.group_info(member, true).await?;
        let request = ExternalSignerProposalRequest {
            signer_id: self.seat(signer).signer.unwrap_or(0),
            signer_index: 0,
            group_info: info.group_info,
            ratchet_tree: info.ratchet_tree,
            description: Some(description),
        };
        Ok(call!(self, signer, external_signer_proposal, request)?.proposal)
    }

    /// All of them are in one epoch: same authenticator, same exported secret.
    pub async fn agree(&mut self, actors: &[&str]) -> Outcome<()> {
        let mut first = None;
        for actor in actors {
            let state_id = self.state(actor);
            let secret = call!(self, actor, state_auth, StateAuthRequest { state_id })?.state_auth_secret;
            let request =
                ExportRequest { state_id, label: "label".to_owned(), context: b"context".to_vec(), key_length: 77 };
            let exported = call!(self, actor, export, request)?.exported_secret;
            if exported.len() != 77 || secret.is_empty() {
                return Err(format!("{actor} exports {} bytes", exported.len()));
            }
            let both = (secret, exported);
            if *first.get_or_insert_with(|| both.clone()) != both {
                return Err(format!("{actor} is in another epoch than {}", actors[0]));
            }
        }
        Ok(())
    }

    /// Gives back all states.
    pub async fn free(&mut self) -> Outcome<()> {
        for (actor, seat) in self.seats.clone() {
            if let Some(state_id) = seat.state {
                call!(self, &actor, free, FreeRequest { state_id })?;
            }
        }
        Ok(())
    }
}

/// Whether two members agree on the epoch.
pub fn agree(who: &str, authenticator: &[u8], expected: &[u8]) -> Outcome<()> {
    let same = authenticator == expected && !expected.is_empty();
    if same { Ok(()) } else { Err(format!("{who} is in another epoch than the committer")) }
}

fn described(kind: &str) -> ProposalDescription {
    ProposalDescription { proposal_type: kind.as_bytes().to_vec(), ..ProposalDescription::default() }
}

pub fn add(key_package: Vec<u8>) -> ProposalDescription {
    ProposalDescription { key_package, ..described("add") }
}

pub fn remove(member: &str) -> ProposalDescription {
    ProposalDescription { removed_id: member.as_bytes().to_vec(), ..described("remove") }
}

pub fn external_psk(psk: &StoredPsk) -> ProposalDescription {
    ProposalDescription { psk_id: psk.id.clone(), ..described("externalPSK") }
}

pub fn resumption_psk(epoch_id: u64) -> ProposalDescription {
    ProposalDescription { epoch_id, ..described("resumptionPSK") }
}

pub fn extensions(extensions: Vec<Extension>) -> ProposalDescription {
    ProposalDescription { extensions, ..described("groupContextExtensions") }
}

pub fn reinit(group_id: Vec<u8>, cipher_suite: u32, extensions: Vec<Extension>) -> ProposalDescription {
    ProposalDescription { group_id, cipher_suite, extensions, ..described("reinit") }
}

/// Required capabilities and external senders, both with empty lists.
pub fn empty_lists() -> Vec<Extension> {
    vec![
        Extension { extension_type: 3, extension_data: vec![0, 0, 0] },
        Extension { extension_type: 5, extension_data: vec![0] },
    ]
}

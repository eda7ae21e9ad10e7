use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Provider, Secret, Signer, Suite};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::group::{
    Applied, ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, Received, TreeDelivery,
};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{Grease, lifetime_from};
use keyroom_wire::{
    CipherSuite, Credential, Decode, Encode, ExtensionType, Extensions, GroupId, KeyPackage, LeafIndex, Limits,
    MlsMessage, Psk,
};

use super::{
    Agreement, BASIC_REQUIRED, CONTEXT, Change, Committed, EXPORTED, Event, GroupExtensions, LABEL, PSK, PSK_ID, Peer,
    Proposal, Style, now,
};

struct Keyroom {
    name: String,
    suite: &'static dyn Suite,
    signer: Box<dyn Signer>,
    config: Arc<Config>,
    style: Style,
    grease: Grease,
    rng: Box<dyn CryptoRng>,
    bundles: Vec<KeyPackageBundle>,
    psks: Vec<(Psk, Secret)>,
    group: Option<Group>,
}

pub(super) fn client(provider: &dyn Provider, name: &str, suite: u16, style: Style, grease: Grease) -> Box<dyn Peer> {
    let suite = provider.suite(CipherSuite(suite)).expect("a suite of the provider");
    let seed = name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(257).wrapping_add(byte.into()));
    let mut rng = keyroom_vectors::rng(seed);
    let key = suite.generate_signature_key(&mut rng).unwrap();
    let handshakes = match style {
        Style::Public => HandshakePolicy::Public,
        Style::Private => HandshakePolicy::OnlyPrivate,
    };
    Box::new(Keyroom {
        name: name.to_owned(),
        suite,
        signer: suite.signer(key.expose()).unwrap(),
        config: Arc::new(Config { handshakes, ..Config::default() }),
        style,
        grease,
        rng: Box::new(rng),
        bundles: Vec::new(),
        psks: vec![(Psk::External { psk_id: PSK_ID.into() }, Secret::copy_of(PSK))],
        group: None,
    })
}

impl Keyroom {
    fn bundle(&mut self) -> KeyPackageBundle {
        let credential = Credential::basic(self.name.as_bytes());
        KeyPackageBuilder::new(self.suite, credential, lifetime_from(now(), 24 * 3600))
            .grease(self.grease)
            .build(self.signer.as_ref(), self.rng.as_mut())
            .unwrap()
    }

    fn group(&self) -> &Group {
        self.group.as_ref().expect("a member")
    }
}

fn parse_key_package(message: &[u8]) -> KeyPackage {
    match MlsMessage::from_bytes(message, &Limits::default()).unwrap() {
        MlsMessage::KeyPackage(key_package) => key_package,
        other => panic!("a key package was expected, not {other:?}"),
    }
}

impl Peer for Keyroom {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_package(&mut self) -> Vec<u8> {
        let bundle = self.bundle();
        let message = MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes();
        self.bundles.push(bundle);
        message
    }

    fn create(&mut self, group_id: &[u8]) {
        let founder =
            Founder { bundle: self.bundle(), group_id: GroupId::from(group_id), extensions: Extensions::new() };
        let inputs = Inputs::at(now());
        self.group =
            Some(Group::create(self.suite, founder, self.config.clone(), &inputs, self.rng.as_mut()).unwrap().0);
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) {
        let options = JoinOptions { ratchet_tree: tree, ..JoinOptions::new(&self.bundles) };
        let inputs = Inputs { now: now(), psks: &self.psks };
        let joining =
            Group::join(self.suite, welcome, &options, self.config.clone(), &inputs, self.rng.as_mut()).unwrap();
        let verdict = joining.questions().accept_unseen();
        self.group = Some(joining.accept(&verdict).unwrap().0);
    }

    fn group_info(&mut self) -> Vec<u8> {
        let content = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };
        self.group.as_ref().unwrap().group_info(content, self.signer.as_ref(), self.rng.as_mut()).unwrap()
    }

    fn join_external(&mut self, group_info: &[u8]) -> Vec<u8> {
        let bundle = self.bundle();
        let inputs = Inputs::at(now());
        let join = Group::join_external(self.suite, &bundle, self.config.clone())
            .build(group_info, self.signer.as_ref(), &inputs, self.rng.as_mut())
            .unwrap();
        let verdict = join.questions().accept_unseen();
        let message = join.message.clone();
        self.group = Some(join.accept(&verdict).unwrap().0);
        message
    }

    fn commit(&mut self, change: &Change) -> Committed {
        let group = self.group.as_mut().unwrap();
        let delivery = match self.style {
            Style::Public => TreeDelivery::Inside,
            Style::Private => TreeDelivery::OutOfBand,
        };
        let mut builder = group.commit().welcome_tree(delivery);
        for key_package in &change.adds {
            builder = builder.add(parse_key_package(key_package));
        }
        for removed in &change.removes {
            builder = builder.remove(LeafIndex(*removed));
        }
        if change.psk {
            builder = builder.psk(Psk::External { psk_id: PSK_ID.into() });
        }
        if let Some(extensions) = change.extensions {
            builder = builder.extensions(match extensions {
                GroupExtensions::None => Extensions::new(),
                GroupExtensions::BasicRequired => {
                    let mut list = Extensions::new();
                    list.set(ExtensionType::REQUIRED_CAPABILITIES, BASIC_REQUIRED);
                    list
                }
            });
        }
        let inputs = Inputs { now: now(), psks: &self.psks };
        let (pending, _) = builder.build(self.signer.as_ref(), &inputs, self.rng.as_mut()).unwrap();
        let verdict = pending.questions().accept_unseen();
        let message = pending.message(&verdict).unwrap().to_vec();
        let (applied, _) = group.apply(pending.into_staged(), &verdict).unwrap();
        let Applied::Epoch { admission, .. } = applied else { panic!("an epoch was expected, not {applied:?}") };
        let tree =
            (delivery == TreeDelivery::OutOfBand && admission.welcome.is_some()).then(|| group.ratchet_tree().unwrap());
        Committed { message, welcome: admission.welcome, tree }
    }

    fn propose(&mut self, proposal: &Proposal) -> Vec<u8> {
        let group = self.group.as_mut().unwrap();
        let (signer, rng) = (self.signer.as_ref(), self.rng.as_mut());
        let inputs = Inputs::at(now());
        let outgoing = match proposal {
            Proposal::Update => group.propose_update(b"", signer, None, &inputs, rng),
            Proposal::Remove(leaf) => {
                group.propose(keyroom_wire::Proposal::Remove { removed: LeafIndex(*leaf) }, b"", signer, &inputs, rng)
            }
            Proposal::Add(key_package) => {
                let key_package = Box::new(parse_key_package(key_package));
                group.propose(keyroom_wire::Proposal::Add { key_package }, b"", signer, &inputs, rng)
            }
        };
        outgoing.unwrap().message
    }

    fn send(&mut self, text: &[u8]) -> Vec<u8> {
        let group = self.group.as_mut().unwrap();
        group.encrypt(text, b"", self.signer.as_ref(), self.rng.as_mut()).unwrap().message
    }

    fn receive(&mut self, message: &[u8]) -> Result<Event, String> {
        let group = self.group.as_mut().unwrap();
        let inputs = Inputs { now: now(), psks: &self.psks };
        match group.process(message, &inputs).map_err(|error| format!("{error:?}"))?.received {
            Received::Application { sender, data, .. } => Ok(Event::Text { sender: sender.leaf_index.0, text: data }),
            Received::Proposal(_) => Ok(Event::Proposal),
            Received::Commit(staged) => {
                let verdict = staged.questions().accept_unseen();
                match group.apply(staged, &verdict).map_err(|error| format!("{error:?}"))?.0 {
                    Applied::Removed => Ok(Event::Removed),
                    _ => Ok(Event::NewEpoch),
                }
            }
            other => Err(format!("{other:?}")),
        }
    }

    fn own_leaf(&self) -> u32 {
        self.group().own_leaf().0
    }

    fn agreement(&self) -> Agreement {
        let group = self.group();
        let identity = |credential| match credential {
            Credential::Basic { identity } => identity.as_slice().to_vec(),
            other => panic!("a basic credential was expected, not {other:?}"),
        };
        let members = group.members().unwrap();
        Agreement {
            epoch: group.epoch(),
            epoch_authenticator: group.epoch_authenticator().to_vec(),
            exported: group.export(LABEL, CONTEXT, EXPORTED).unwrap().expose().to_vec(),
            tree: group.ratchet_tree().unwrap(),
            members: members
                .iter()
                .map(|member| (member.leaf_index.0, identity(member.credential().unwrap())))
                .collect(),
        }
    }

    fn insides(&self) -> Option<(&Group, &dyn Signer)> {
        Some((self.group(), self.signer.as_ref()))
    }
}

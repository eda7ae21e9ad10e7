//! The actors of all scripts, found by id.
//!
//! | file | calls |
//! |---|---|
//! | `join` | founding, key packages, joining by Welcome and by external commit |
//! | `speak` | GroupInfo, exported secrets, application data |
//! | `proposals` | proposals of members |
//! | `commits` | making and applying commits |
//! | `successors` | reinitialisation and branches |
//! | `outside` | new members and external signers who propose |
//! | `member` | what one member of a group can do |

mod commits;
mod decode;
mod describe;
mod identity;
mod join;
mod member;
mod outside;
mod proposals;
mod setup;
mod speak;
mod successors;

use std::collections::BTreeMap;

use keyroom_crypto::{Secret, Signer};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_wire::Psk;

use self::member::Member;
use self::outside::ExternalSigner;
pub use self::setup::Setup;
use self::successors::Ended;
use crate::messages::{
    FreeRequest, FreeResponse, NameRequest, NameResponse, SupportedCiphersuitesRequest, SupportedCiphersuitesResponse,
};
use crate::{Failure, IdKind};

/// Everything that has an id. Ids of all kinds come from one counter: a PSK is stored by "state or
/// transaction", which must not be ambiguous. A member keeps its id from epoch to epoch.
#[derive(Debug)]
pub struct Actors {
    setup: Setup,
    next: u32,
    members: BTreeMap<u32, Member>,
    joiners: BTreeMap<u32, Joiner>,
    ended: BTreeMap<u32, Ended>,
    signers: BTreeMap<u32, ExternalSigner>,
}

/// A client between its key package and its group.
#[derive(Debug)]
struct Joiner {
    identity: Vec<u8>,
    signer: Box<dyn Signer>,
    bundle: KeyPackageBundle,
    psks: Psks,
}

/// The external PSKs of an actor.
type Psks = Vec<(Psk, Secret)>;

/// Ids begin here, so that a runner's 0 for "none" names nobody.
const FIRST_ID: u32 = 1;

impl Actors {
    /// Nobody yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            next: FIRST_ID,
            members: BTreeMap::new(),
            joiners: BTreeMap::new(),
            ended: BTreeMap::new(),
            signers: BTreeMap::new(),
        }
    }

    pub(crate) fn name(&mut self, _: NameRequest) -> Result<NameResponse, Failure> {
        Ok(NameResponse { name: "Keyroom".to_owned() })
    }

    pub(crate) fn supported_ciphersuites(
        &mut self,
        _: SupportedCiphersuitesRequest,
    ) -> Result<SupportedCiphersuitesResponse, Failure> {
        let suites = self.setup.cipher_suites();
        Ok(SupportedCiphersuitesResponse { ciphersuites: suites.map(|suite| u32::from(suite.0)).collect() })
    }

    /// Gives up whatever has the id. Giving up twice is no error, nor is giving up nothing: runners
    /// free what they remember, used up or not.
    pub(crate) fn free(&mut self, request: FreeRequest) -> Result<FreeResponse, Failure> {
        let id = request.state_id;
        if id >= self.next {
            return Err(Failure::UnknownId { kind: IdKind::Any, id });
        }
        self.members.remove(&id);
        self.joiners.remove(&id);
        self.ended.remove(&id);
        self.signers.remove(&id);
        Ok(FreeResponse {})
    }

    fn fresh_id(&mut self) -> Result<u32, Failure> {
        let id = self.next;
        self.next = id.checked_add(1).ok_or(Failure::OutOfIds)?;
        Ok(id)
    }

    fn insert_member(&mut self, member: Member) -> Result<u32, Failure> {
        let id = self.fresh_id()?;
        self.members.insert(id, member);
        Ok(id)
    }

    fn member(&self, id: u32) -> Result<&Member, Failure> {
        self.members.get(&id).ok_or(Failure::UnknownId { kind: IdKind::State, id })
    }

    /// A member, and what its operations take from outside.
    fn member_mut(&mut self, id: u32) -> Result<(&mut Member, &mut Setup), Failure> {
        let member = self.members.get_mut(&id).ok_or(Failure::UnknownId { kind: IdKind::State, id })?;
        Ok((member, &mut self.setup))
    }
}

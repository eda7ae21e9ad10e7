//! A validator that reads structure only.

use std::sync::Arc;

use keyroom_api::DeviceUri;
use keyroom_wire::{
    Content, Decode, Encode, ExtensionType, GroupId, GroupInfo, KeyPackage, LeafNodeSource, Limits, MlsMessage,
    Proposal, ProposalOrRef, ProtocolVersion, PublicMessage, Reader,
};

use crate::{
    CheckedKeyPackage, Invalid, Judged, JudgedKeyPackage, Owner, PublicView, Roster, StateChange, StateRecord,
    Validator,
};

/// Checks that messages parse, are of the kind, group and epoch that they should be, and that key
/// packages have not expired; **no signature, no tree and no proposal rule**.
///
/// It serves tests and servers that leave the judgement to the members. Such a server does not know who is in
/// a room either: every device that is authenticated may read all rooms and send to them. As it computes no hash, the
/// init key stands in for the `KeyPackageRef`: both differ for every honest key package.
#[derive(Clone, Copy, Debug, Default)]
pub struct Structural {
    /// Bounds on what is decoded.
    pub limits: Limits,
}

impl Validator for Structural {
    fn key_package(&self, message: &[u8], now: u64) -> Result<JudgedKeyPackage, Invalid> {
        let MlsMessage::KeyPackage(package) = decode(message, &self.limits)? else {
            return Err(Invalid::WrongKind);
        };
        Ok(JudgedKeyPackage { checked: check_key_package(&package, now)?, owner: Owner::Unjudged })
    }

    fn open(&self, message: &[u8], ratchet_tree: Option<&[u8]>, _: u64) -> Result<Judged, Invalid> {
        let info = group_info(message, &self.limits)?;
        if ratchet_tree.is_none() && !info.extensions.contains(ExtensionType::RATCHET_TREE) {
            return Err(Invalid::NoRatchetTree);
        }
        let context = info.group_context;
        Ok(View { group_id: context.group_id, epoch: context.epoch, ended: false, limits: self.limits }.judged())
    }

    fn restore(&self, records: Vec<StateRecord>) -> Result<Arc<dyn PublicView>, Invalid> {
        let [(_, state)] = records.as_slice() else { return Err(Invalid::Malformed) };
        let mut reader = Reader::new(state, self.limits);
        let group_id = GroupId::decode(&mut reader).map_err(|_| Invalid::Malformed)?;
        let epoch = u64::decode(&mut reader).map_err(|_| Invalid::Malformed)?;
        reader.finish().map_err(|_| Invalid::Malformed)?;
        Ok(Arc::new(View { group_id, epoch, ended: false, limits: self.limits }))
    }

    /// Nobody checks signatures here, so nobody proves anything.
    fn check_access(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), Invalid> {
        Err(Invalid::AccessKey)
    }
}

fn check_key_package(package: &KeyPackage, now: u64) -> Result<CheckedKeyPackage, Invalid> {
    let LeafNodeSource::KeyPackage(lifetime) = package.leaf_node.leaf_node_source else {
        return Err(Invalid::Rule { code: "leaf-source", section: "10.1" });
    };
    if package.version != ProtocolVersion::MLS10 {
        return Err(Invalid::Rule { code: "version", section: "10.1" });
    }
    if !(lifetime.not_before..=lifetime.not_after).contains(&now) {
        return Err(Invalid::Rule { code: "lifetime", section: "7.3" });
    }
    Ok(CheckedKeyPackage {
        reference: package.init_key.as_slice().to_vec(),
        cipher_suite: package.cipher_suite.0,
        last_resort: package.extensions.contains(ExtensionType::LAST_RESORT),
        not_after: lifetime.not_after,
    })
}

/// Key of the one record.
const RECORD: &[u8] = b"view";

struct View {
    group_id: GroupId,
    epoch: u64,
    /// Whether the commit before held a ReInit.
    ended: bool,
    limits: Limits,
}

impl View {
    fn read(&self, message: &[u8]) -> Result<PublicMessage, Invalid> {
        let MlsMessage::PublicMessage(message) = decode(message, &self.limits)? else {
            return Err(Invalid::WrongKind);
        };
        self.place(&message.content.group_id, message.content.epoch)?;
        Ok(message)
    }

    /// Both fields in one record.
    fn judged(self) -> Judged {
        let mut out = self.group_id.to_bytes();
        self.epoch.encode(&mut out);
        Judged {
            change: StateChange::Whole(vec![(RECORD.to_vec(), out)]),
            view: Arc::new(self),
            roster: Roster::Unknown,
        }
    }

    fn place(&self, group_id: &GroupId, epoch: u64) -> Result<(), Invalid> {
        if *group_id != self.group_id {
            return Err(Invalid::WrongGroup);
        }
        if epoch == self.epoch { Ok(()) } else { Err(Invalid::WrongEpoch) }
    }
}

impl PublicView for View {
    fn group_id(&self) -> &[u8] {
        self.group_id.as_slice()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Nobody computes the hash here, so no tree is found by it.
    fn tree_hash(&self) -> &[u8] {
        &[]
    }

    /// Nobody reads the tree here: every room counts as one of two.
    fn members(&self) -> u64 {
        2
    }

    fn leaves(&self, _: &DeviceUri) -> Option<Vec<u32>> {
        None
    }

    fn check_report(&self, _: u32, _: &[u8], _: &[u8]) -> Result<(), Invalid> {
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.ended
    }

    fn check_proposal(&self, message: &[u8], _: u64) -> Result<(), Invalid> {
        match self.read(message)?.content.content {
            Content::Proposal(_) => Ok(()),
            Content::Application(_) | Content::Commit(_) => Err(Invalid::WrongKind),
        }
    }

    fn check_commit(&self, message: &[u8], _: &[Vec<u8>], _: u64) -> Result<Judged, Invalid> {
        let Content::Commit(commit) = self.read(message)?.content.content else {
            return Err(Invalid::WrongKind);
        };
        let epoch = self.epoch.checked_add(1).ok_or(Invalid::EpochTooHigh)?;
        let ends = |proposal: &ProposalOrRef| matches!(proposal, ProposalOrRef::Proposal(Proposal::ReInit(_)));
        let ended = commit.proposals.iter().any(ends);
        Ok(Self { group_id: self.group_id.clone(), epoch, ended, limits: self.limits }.judged())
    }

    fn outsider(&self, _: &[u8]) -> Result<Owner, Invalid> {
        Ok(Owner::Unjudged)
    }

    fn check_group_info(&self, message: &[u8]) -> Result<(), Invalid> {
        let context = group_info(message, &self.limits)?.group_context;
        self.place(&context.group_id, context.epoch)
    }

    fn ratchet_tree(&self) -> Option<Vec<u8>> {
        None
    }
}

fn decode(message: &[u8], limits: &Limits) -> Result<MlsMessage, Invalid> {
    MlsMessage::from_bytes(message, limits).map_err(|_| Invalid::Malformed)
}

fn group_info(message: &[u8], limits: &Limits) -> Result<GroupInfo, Invalid> {
    match decode(message, limits)? {
        MlsMessage::GroupInfo(info) => Ok(info),
        _ => Err(Invalid::WrongKind),
    }
}

//! How a runner leads a group into its successor.

use keyroom_interop::messages::*;

use crate::runner::{Outcome, Runner, agree, call};

/// The end of a group and the beginning of the next one.
#[derive(Clone, Debug, Default)]
pub struct Succession<'a> {
    /// Who commits the proposal.
    pub committer: &'a str,
    /// Who founds the successor.
    pub welcomer: &'a str,
    /// Everybody else.
    pub members: &'a [&'a str],
    pub force_path: bool,
    pub external_tree: bool,
}

impl Runner {
    pub async fn propose_reinit(
        &mut self,
        actor: &str,
        group_id: Vec<u8>,
        cipher_suite: u32,
        extensions: Vec<Extension>,
    ) -> Outcome<Vec<u8>> {
        let request = ReInitProposalRequest { state_id: self.state(actor), cipher_suite, group_id, extensions };
        Ok(call!(self, actor, re_init_proposal, request)?.proposal)
    }

    /// Commits a ReInit proposal and leads everybody into the successor.
    pub async fn reinit(&mut self, proposal: Vec<u8>, succession: Succession<'_>) -> Outcome<()> {
        let ended = self.end(proposal, &succession).await?;
        let Succession { welcomer, force_path, external_tree, .. } = succession;
        let others: Vec<_> = ended.iter().filter(|(actor, _)| actor != welcomer).cloned().collect();
        let founder = ended.iter().find(|(actor, _)| actor == welcomer).ok_or("the welcomer is no member")?;
        let request = ReInitWelcomeRequest {
            reinit_id: founder.1.reinit_id,
            key_package: others.iter().map(|(_, ended)| ended.key_package.clone()).collect(),
            force_path,
            external_tree,
        };
        let founded = call!(self, welcomer, re_init_welcome, request)?;
        self.seat(welcomer).state = Some(founded.state_id);
        for (actor, ended) in others {
            let request = HandleReInitWelcomeRequest {
                reinit_id: ended.reinit_id,
                welcome: founded.welcome.clone(),
                ratchet_tree: if external_tree { founded.ratchet_tree.clone() } else { Vec::new() },
            };
            let joined = call!(self, &actor, handle_re_init_welcome, request)?;
            agree(&actor, &joined.epoch_authenticator, &founded.epoch_authenticator)?;
            self.seat(&actor).state = Some(joined.state_id);
        }
        Ok(())
    }

    /// Commits a ReInit proposal; everybody agrees on the last epoch and makes a key package.
    async fn end(
        &mut self,
        proposal: Vec<u8>,
        succession: &Succession<'_>,
    ) -> Outcome<Vec<(String, HandleReInitCommitResponse)>> {
        let committer = succession.committer;
        let state_id = self.state(committer);
        let request = CommitRequest { state_id, by_reference: vec![proposal.clone()], ..CommitRequest::default() };
        let commit = call!(self, committer, re_init_commit, request)?.commit;
        let request = HandlePendingCommitRequest { state_id };
        let last = call!(self, committer, handle_pending_re_init_commit, request)?;
        let mut others: Vec<&str> = succession.members.iter().copied().chain([succession.welcomer]).collect();
        others.retain(|actor| *actor != committer);
        others.sort_unstable();
        others.dedup();
        let mut ended = vec![(committer.to_owned(), last.clone())];
        for actor in others {
            let request = HandleCommitRequest {
                state_id: self.state(actor),
                proposal: vec![proposal.clone()],
                commit: commit.clone(),
            };
            let handled = call!(self, actor, handle_re_init_commit, request)?;
            agree(actor, &handled.epoch_authenticator, &last.epoch_authenticator)?;
            ended.push((actor.to_owned(), handled));
        }
        Ok(ended)
    }

    /// Founds a branch with some members; from then on the runner speaks to the states in it. Gives
    /// the states in the old group.
    pub async fn branch(
        &mut self,
        actor: &str,
        members: &[&str],
        extensions: Vec<Extension>,
        external_tree: bool,
    ) -> Outcome<Vec<(String, u32)>> {
        let mut key_packages = Vec::new();
        for member in members {
            key_packages.push(self.key_package(member).await?);
        }
        let request = CreateBranchRequest {
            state_id: self.state(actor),
            group_id: self.fresh("branch"),
            extensions,
            key_packages,
            force_path: false,
            external_tree,
        };
        let founded = call!(self, actor, create_branch, request)?;
        let mut old = vec![(actor.to_owned(), self.state(actor))];
        self.seat(actor).state = Some(founded.state_id);
        for member in members {
            let seat = *self.seat(member);
            let request = HandleBranchRequest {
                state_id: seat.state.unwrap_or(0),
                transaction_id: seat.transaction.unwrap_or(0),
                welcome: founded.welcome.clone(),
                ratchet_tree: if external_tree { founded.ratchet_tree.clone() } else { Vec::new() },
            };
            let joined = call!(self, member, handle_branch, request)?;
            agree(member, &joined.epoch_authenticator, &founded.epoch_authenticator)?;
            old.push(((*member).to_owned(), seat.state.unwrap_or(0)));
            self.seat(member).state = Some(joined.state_id);
        }
        Ok(old)
    }
}

//! Making and applying commits.

use super::Actors;
use super::member::Expected;
use crate::Failure;
use crate::messages::{
    CommitRequest, CommitResponse, HandleCommitRequest, HandleCommitResponse, HandlePendingCommitRequest,
};

impl Actors {
    pub(crate) fn commit(&mut self, request: CommitRequest) -> Result<CommitResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        member.commit(&request, setup)
    }

    pub(crate) fn handle_commit(&mut self, request: HandleCommitRequest) -> Result<HandleCommitResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        member.follow(&request.proposal, &request.commit, Expected::Any, setup.now())?;
        let epoch_authenticator = member.epoch_authenticator();
        Ok(HandleCommitResponse { state_id: request.state_id, epoch_authenticator })
    }

    pub(crate) fn handle_pending_commit(
        &mut self,
        request: HandlePendingCommitRequest,
    ) -> Result<HandleCommitResponse, Failure> {
        let (member, _) = self.member_mut(request.state_id)?;
        member.apply_pending(Expected::Any)?;
        let epoch_authenticator = member.epoch_authenticator();
        Ok(HandleCommitResponse { state_id: request.state_id, epoch_authenticator })
    }
}

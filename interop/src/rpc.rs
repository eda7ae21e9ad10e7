//! The calls of `MLSClient`: one row each, from which both sides of the wire follow.

use std::net::SocketAddr;

use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::Actors;
use crate::messages::*;
use crate::service::{MOST_BYTES, Service};

/// Path of the service; the name of a call follows.
pub(crate) const PREFIX: &str = "/mls_client.MLSClient/";

macro_rules! calls {
    ($($name:literal: $method:ident($request:ty) -> $response:ty;)*) => {
        /// The names of all calls.
        pub const METHODS: &[&str] = &[$($name),*];

        impl Service {
            /// Answers one HTTP request.
            pub(crate) async fn dispatch(
                &self,
                request: http::Request<tonic::body::Body>,
            ) -> http::Response<tonic::body::Body> {
                match request.uri().path().strip_prefix(PREFIX) {
                    $(Some($name) => self.answer(request, Actors::$method).await,)*
                    _ => Status::unimplemented("there is no such call").into_http(),
                }
            }
        }

        impl Client {
            $(
                #[doc = concat!("Calls `", $name, "`.\n\n# Errors\nThe server's status, or that of a broken connection.")]
                pub async fn $method(&mut self, request: $request) -> Result<$response, Status> {
                    self.call(concat!("/mls_client.MLSClient/", $name), request).await
                }
            )*
        }
    };
}

calls! {
    "Name": name(NameRequest) -> NameResponse;
    "SupportedCiphersuites": supported_ciphersuites(SupportedCiphersuitesRequest) -> SupportedCiphersuitesResponse;
    "CreateGroup": create_group(CreateGroupRequest) -> CreateGroupResponse;
    "CreateKeyPackage": create_key_package(CreateKeyPackageRequest) -> CreateKeyPackageResponse;
    "JoinGroup": join_group(JoinGroupRequest) -> JoinGroupResponse;
    "ExternalJoin": external_join(ExternalJoinRequest) -> ExternalJoinResponse;
    "GroupInfo": group_info(GroupInfoRequest) -> GroupInfoResponse;
    "StateAuth": state_auth(StateAuthRequest) -> StateAuthResponse;
    "Export": export(ExportRequest) -> ExportResponse;
    "Protect": protect(ProtectRequest) -> ProtectResponse;
    "Unprotect": unprotect(UnprotectRequest) -> UnprotectResponse;
    "StorePSK": store_psk(StorePskRequest) -> StorePskResponse;
    "AddProposal": add_proposal(AddProposalRequest) -> ProposalResponse;
    "UpdateProposal": update_proposal(UpdateProposalRequest) -> ProposalResponse;
    "RemoveProposal": remove_proposal(RemoveProposalRequest) -> ProposalResponse;
    "ExternalPSKProposal": external_psk_proposal(ExternalPskProposalRequest) -> ProposalResponse;
    "ResumptionPSKProposal": resumption_psk_proposal(ResumptionPskProposalRequest) -> ProposalResponse;
    "GroupContextExtensionsProposal":
        group_context_extensions_proposal(GroupContextExtensionsProposalRequest) -> ProposalResponse;
    "Commit": commit(CommitRequest) -> CommitResponse;
    "HandleCommit": handle_commit(HandleCommitRequest) -> HandleCommitResponse;
    "HandlePendingCommit": handle_pending_commit(HandlePendingCommitRequest) -> HandleCommitResponse;
    "ReInitProposal": re_init_proposal(ReInitProposalRequest) -> ProposalResponse;
    "ReInitCommit": re_init_commit(CommitRequest) -> CommitResponse;
    "HandlePendingReInitCommit":
        handle_pending_re_init_commit(HandlePendingCommitRequest) -> HandleReInitCommitResponse;
    "HandleReInitCommit": handle_re_init_commit(HandleCommitRequest) -> HandleReInitCommitResponse;
    "ReInitWelcome": re_init_welcome(ReInitWelcomeRequest) -> CreateSubgroupResponse;
    "HandleReInitWelcome": handle_re_init_welcome(HandleReInitWelcomeRequest) -> JoinGroupResponse;
    "CreateBranch": create_branch(CreateBranchRequest) -> CreateSubgroupResponse;
    "HandleBranch": handle_branch(HandleBranchRequest) -> HandleBranchResponse;
    "NewMemberAddProposal": new_member_add_proposal(NewMemberAddProposalRequest) -> NewMemberAddProposalResponse;
    "CreateExternalSigner": create_external_signer(CreateExternalSignerRequest) -> CreateExternalSignerResponse;
    "AddExternalSigner": add_external_signer(AddExternalSignerRequest) -> ProposalResponse;
    "ExternalSignerProposal": external_signer_proposal(ExternalSignerProposalRequest) -> ProposalResponse;
    "Free": free(FreeRequest) -> FreeResponse;
}

/// The runner's side of the wire, for tests.
#[derive(Clone, Debug)]
pub struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    /// Connects to a server, which may be anybody's.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: SocketAddr) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::try_from(format!("http://{address}"))?.connect().await?;
        let grpc = Grpc::new(channel).max_decoding_message_size(MOST_BYTES).max_encoding_message_size(MOST_BYTES);
        Ok(Self { grpc })
    }

    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = http::uri::PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        self.grpc.unary(Request::new(request), path, codec).await.map(Response::into_inner)
    }
}

//! Commits that the server has accepted and members cannot follow.
//!
//! A commit can be wrong in ways that show only to those who hold secrets: its tags, the path secrets,
//! the PSKs, and the `external_pub` by which somebody came in. Members say so, each with its signature,
//! and when enough of them do, the room ends at that commit. It goes on in a successor, branched from
//! the epoch before, because no epoch of a room ever has two commits.

use keyroom_api::{Bundle as _, DeviceUri, EntryKind, LogEntry, Report, ReportContent, ReportReceipt, RoomUri};
use keyroom_wire::{Decode as _, MlsMessage, Sender};

use super::{Delivery, compute};
use crate::framed::{Author, Framed};
use crate::{Invalid, LogRead, NewReport, Page, Refusal, Reported, RoomRecord, Topic};

impl Delivery {
    /// Counts a member's report, and closes the room if the reports are enough.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]: no such commit, or not the signature of a member of its epoch other than
    /// the committer; [`Refusal::UnknownEpoch`] if its public state is not kept any more;
    /// [`Refusal::Closed`] if the room is closed already, [`Refusal::UnknownRoom`].
    pub async fn report(&self, caller: &DeviceUri, room: &RoomUri, report: Report) -> Result<ReportReceipt, Refusal> {
        self.own_host(caller.host())?;
        let found = self.find_as_reader(caller, room).await?;
        if let Some(closure) = found.status.closed {
            return Err(Refusal::Closed(closure));
        }
        let needed = self.check_report(caller, room, &found, &report).await?;
        let Report { sequence, epoch, leaf, reason, signature } = report;
        let new = NewReport { room: found.id, sequence, epoch, leaf, reason: reason.code(), signature, needed };
        match self.ledger.report(new).await? {
            Reported::Counted(reports) => Ok(ReportReceipt { reports, needed, closed: None }),
            Reported::Closed(reports, closure) => {
                self.bus.publish(&Topic::Room(room.clone()));
                Ok(ReportReceipt { reports, needed, closed: Some(closure) })
            }
        }
    }

    /// Judges a report on the public state of the epoch that the commit ended, and returns how many it
    /// takes.
    async fn check_report(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        found: &RoomRecord,
        report: &Report,
    ) -> Result<u64, Refusal> {
        let commit = self.reported(caller, found, report).await?;
        let committer = self.committer(&commit.message);
        if committer == Some(report.leaf) {
            return Err(Invalid::NoSuchCommit.into());
        }
        let view = self.view(found.id, report.epoch).await?.ok_or(Refusal::UnknownEpoch)?;
        // Who made it is no secret to members, and not always known here; that one of them did, is.
        let inside = Framed::read(&commit.message, &self.limits.wire())?.author == Author::Member;
        let able = view.members().saturating_sub(u64::from(inside));
        let content = ReportContent {
            room: room.clone(),
            commit: commit.message,
            sequence: report.sequence,
            epoch: report.epoch,
            leaf: report.leaf,
            reason: report.reason,
        };
        let (leaf, signature) = (report.leaf, report.signature.clone());
        compute(move || Ok(view.check_report(leaf, &content.to_bytes(), &signature)?)).await?;
        Ok(match found.reports_needed {
            0 => able / 2 + 1,
            // A room that has become smaller than that is closed by all who can say so.
            needed => u64::from(needed).min(able),
        })
    }

    /// The commit that a report names, which may be the one that removed the reporter.
    async fn reported(&self, caller: &DeviceUri, found: &RoomRecord, report: &Report) -> Result<LogEntry, Refusal> {
        let before = report.sequence.checked_sub(1).ok_or(Invalid::NoSuchCommit)?;
        let one = Page { after: before, entries: 1, bytes: usize::MAX };
        let LogRead::Page { page, .. } = self.ledger.log(found.id, Some(caller), one).await? else {
            return Err(Invalid::NoSuchCommit.into());
        };
        let names = |entry: &LogEntry| entry.kind == EntryKind::Commit && entry.epoch == report.epoch;
        Ok(page.entries.into_iter().next().filter(names).ok_or(Invalid::NoSuchCommit)?)
    }

    /// The leaf of the member that made a commit, if it was one and the server can see it.
    pub(super) fn committer(&self, commit: &[u8]) -> Option<u32> {
        match MlsMessage::from_bytes(commit, &self.limits.wire()) {
            Ok(MlsMessage::PublicMessage(message)) => match message.content.sender {
                Sender::Member(leaf) => Some(leaf.0),
                _ => None,
            },
            _ => None,
        }
    }
}

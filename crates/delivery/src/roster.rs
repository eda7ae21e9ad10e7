//! Who is in a room, as its commits say, and which part of the log that lets a device read.

use keyroom_api::DeviceUri;

/// A device in a room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its leaf.
    pub leaf: u32,
    /// The device.
    pub device: DeviceUri,
}

/// What a commit does to the roster of its room. Leaves are vacated before they are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterChange {
    /// Leaves whose devices, if the roster has any there, are out from this commit on.
    pub removed: Vec<u32>,
    /// Who is in from this commit on.
    pub added: Vec<Place>,
}

/// What a device is to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The room has no roster: nobody is asked.
    Unlisted,
    /// It is in the room.
    Member,
    /// It was.
    Removed,
    /// It never was.
    Stranger,
}

/// A run of a log that a device may read: from the commit that brought it in to the one that removed it,
/// both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Sequence number of the first entry; 0 for whoever was there before the log began.
    pub since: u64,
    /// Sequence number of the last one; `None` while the device is in the room.
    pub until: Option<u64>,
}

impl Span {
    /// Whether this run holds all of the other.
    pub fn covers(&self, other: &Self) -> bool {
        self.since <= other.since
            && match (self.until, other.until) {
                (None, _) => true,
                (Some(own), Some(until)) => until <= own,
                (Some(_), None) => false,
            }
    }
}

/// How far a device may read from a cursor on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the end of the log.
    Open,
    /// Up to and including this entry, which may be at the cursor or before it: then there is nothing.
    UpTo(u64),
    /// Not from there: the device was not in the room, or not yet.
    Outside,
}

impl Reach {
    /// How far a device with these spans may read from the entry after `after` on.
    pub fn of(spans: &[Span], after: u64) -> Self {
        let first = after.saturating_add(1);
        let holds = |span: &&Span, at: u64| span.since <= at && span.until.is_none_or(|until| at <= until);
        let Some(mut span) = spans.iter().find(|span| holds(span, first)) else {
            // Who is out and has all that was for it is told so.
            let last = spans.iter().filter_map(|span| span.until).filter(|until| *until < first).max();
            return last.map_or(Self::Outside, Self::UpTo);
        };
        // A device that was removed and came in by one commit, or the next, reads on. Each turn goes on to a
        // span that ends later.
        while let Some(until) = span.until {
            let next =
                |other: &&Span| other.since <= until.saturating_add(1) && other.until.is_none_or(|later| later > until);
            match spans.iter().find(next) {
                Some(later) => span = later,
                None => return Self::UpTo(until),
            }
        }
        Self::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(since: u64, until: impl Into<Option<u64>>) -> Span {
        Span { since, until: until.into() }
    }

    #[test]
    fn a_device_reads_what_was_sent_while_it_was_there() {
        let joined = [span(5, None)];
        for (after, reach) in [(0, Reach::Outside), (3, Reach::Outside), (4, Reach::Open), (90, Reach::Open)] {
            assert_eq!(Reach::of(&joined, after), reach, "{after}");
        }
        let removed = [span(5, 8)];
        let up_to = Reach::UpTo(8);
        for (after, reach) in [(3, Reach::Outside), (4, up_to), (7, up_to), (8, up_to), (u64::MAX, up_to)] {
            assert_eq!(Reach::of(&removed, after), reach, "{after}");
        }
        assert_eq!(Reach::of(&[], 0), Reach::Outside);
        assert_eq!(Reach::of(&[span(0, None)], 0), Reach::Open);
    }

    #[test]
    fn who_comes_again_reads_both_parts_and_not_what_was_between() {
        let twice = [span(5, 8), span(12, None)];
        for (after, reach) in [(4, Reach::UpTo(8)), (9, Reach::UpTo(8)), (10, Reach::UpTo(8)), (11, Reach::Open)] {
            assert_eq!(Reach::of(&twice, after), reach, "{after}");
        }
        // Two leaves, of which one goes.
        assert_eq!(Reach::of(&[span(0, 8), span(3, None)], 1), Reach::Open);
        // In and out by one commit.
        assert_eq!(Reach::of(&[span(0, 8), span(8, 11)], 1), Reach::UpTo(11));
        assert_eq!(Reach::of(&[span(0, 8), span(10, None)], 1), Reach::UpTo(8));
    }
}

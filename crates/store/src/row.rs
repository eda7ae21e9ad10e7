use std::ops::RangeInclusive;

use keyroom_mls::record::RecordValue;

/// Keeps the rows of one concern apart from those of others, such as `"outbox"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(&'static str);

impl Namespace {
    /// A namespace. Changing its text later makes its rows unfindable.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Names a row of the application: a namespace, a name, and a place among the rows of that name.
///
/// An encrypted store hides namespace and name, and can therefore not list names in their order. What
/// has an order (the messages of a room, the entries of an outbox) is numbered: rows of one name are
/// a series, sorted by [`order`](Self::order), which is stored in the clear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Whose row it is.
    pub namespace: Namespace,
    /// What it is about: a room, a user, the reference of a key package. May be empty.
    pub name: Vec<u8>,
    /// Its place in the series; 0 for a row that stands alone.
    pub order: u64,
}

impl RowKey {
    /// The key of a row that stands alone.
    pub fn new(namespace: Namespace, name: impl Into<Vec<u8>>) -> Self {
        Self::at(namespace, name, 0)
    }

    /// The key of a row in a series.
    pub fn at(namespace: Namespace, name: impl Into<Vec<u8>>, order: u64) -> Self {
        Self { namespace, name: name.into(), order }
    }
}

/// A stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub key: RowKey,
    /// What it holds.
    pub value: RecordValue,
}

/// What must hold of a row before it is changed; otherwise the whole transaction is refused with
/// [`StoreError::RowConflict`](crate::StoreError::RowConflict).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[default]
    Any,
    /// The row is not there: of several who claim the name, one succeeds.
    Absent,
    /// The row is there: of several who delete it (take a key package, say), one succeeds.
    Present,
}

/// A change of one row.
#[derive(Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The row.
    pub key: RowKey,
    /// What must hold of it before.
    pub expect: Expect,
    /// What it holds afterwards; `None` deletes it.
    pub value: Option<RecordValue>,
}

/// From which end of a series rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Lowest order first.
    Ascending,
    /// Highest order first.
    Descending,
}

/// Which rows to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan<'a> {
    /// Rows of one name, sorted by order.
    Series {
        /// Namespace of the series.
        namespace: Namespace,
        /// Name of the series.
        name: &'a [u8],
        /// Lowest and highest order to list.
        within: RangeInclusive<u64>,
        /// Which end comes first.
        direction: Direction,
    },
    /// Rows of a namespace. Names come in a sequence of the store's own, which does not change;
    /// rows of one name come together, in ascending order.
    Namespace {
        /// The namespace.
        namespace: Namespace,
        /// The last row of the page before, or `None` for the first page. The row need not exist
        /// any more. Its namespace is not looked at.
        after: Option<&'a RowKey>,
    },
}

impl<'a> Scan<'a> {
    /// All rows of one name, lowest order first.
    pub const fn series(namespace: Namespace, name: &'a [u8]) -> Self {
        Self::Series { namespace, name, within: 0..=u64::MAX, direction: Direction::Ascending }
    }

    /// All rows of one name, highest order first.
    pub const fn latest(namespace: Namespace, name: &'a [u8]) -> Self {
        Self::Series { namespace, name, within: 0..=u64::MAX, direction: Direction::Descending }
    }

    /// All rows of a namespace.
    pub const fn namespace(namespace: Namespace) -> Self {
        Self::Namespace { namespace, after: None }
    }
}

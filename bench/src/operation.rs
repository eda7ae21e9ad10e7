//! What is measured.

/// An operation: a row of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Making a key package.
    KeyPackage,
    /// Founding a group and adding all others in one commit.
    Create,
    /// Joining a group in which only its founder has committed.
    JoinFresh,
    /// Joining a group whose every parent has a key.
    JoinFull,
    /// A commit with new keys in the fresh tree, made and applied.
    CommitFresh,
    /// Reading and applying it.
    ReceiveFresh,
    /// A commit with new keys in the full tree, made and applied.
    Commit,
    /// Reading and applying it.
    Receive,
    /// A commit that adds one member, tree out of band.
    Add,
    /// Reading and applying it.
    ReceiveAdd,
    /// A commit that removes one member.
    Remove,
    /// Reading and applying it.
    ReceiveRemove,
    /// Sending 32 bytes as the first message in an epoch.
    EncryptFirst,
    /// Reading them.
    DecryptFirst,
    /// Sending 32 bytes.
    Encrypt32,
    /// Reading 32 bytes.
    Decrypt32,
    /// Sending 1 KiB.
    Encrypt1k,
    /// Reading 1 KiB.
    Decrypt1k,
    /// Sending 64 KiB.
    Encrypt64k,
    /// Reading 64 KiB.
    Decrypt64k,
    /// Reading 1,000 messages of 50 senders.
    Backlog,
    /// Opening the group from the store and reading one message.
    Open,
    /// Being a member: the state, stored and loaded.
    Member,
}

impl Operation {
    /// All, in the order of the tables.
    pub const ALL: [Self; 23] = [
        Self::KeyPackage,
        Self::Create,
        Self::JoinFresh,
        Self::JoinFull,
        Self::CommitFresh,
        Self::ReceiveFresh,
        Self::Commit,
        Self::Receive,
        Self::Add,
        Self::ReceiveAdd,
        Self::Remove,
        Self::ReceiveRemove,
        Self::EncryptFirst,
        Self::DecryptFirst,
        Self::Encrypt32,
        Self::Decrypt32,
        Self::Encrypt1k,
        Self::Decrypt1k,
        Self::Encrypt64k,
        Self::Decrypt64k,
        Self::Backlog,
        Self::Open,
        Self::Member,
    ];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyPackage => "key package",
            Self::Create => "create",
            Self::JoinFresh => "join, fresh tree",
            Self::JoinFull => "join, full tree",
            Self::CommitFresh => "commit, fresh tree",
            Self::ReceiveFresh => "received commit, fresh tree",
            Self::Commit => "commit, full tree",
            Self::Receive => "received commit, full tree",
            Self::Add => "add one",
            Self::ReceiveAdd => "received add",
            Self::Remove => "remove one",
            Self::ReceiveRemove => "received remove",
            Self::EncryptFirst => "send 32 B, first of epoch",
            Self::DecryptFirst => "receive 32 B, first of epoch",
            Self::Encrypt32 => "send 32 B",
            Self::Decrypt32 => "receive 32 B",
            Self::Encrypt1k => "send 1 KiB",
            Self::Decrypt1k => "receive 1 KiB",
            Self::Encrypt64k => "send 64 KiB",
            Self::Decrypt64k => "receive 64 KiB",
            Self::Backlog => "backlog of 1,000 messages",
            Self::Open => "open and receive 32 B",
            Self::Member => "member",
        }
    }
}

/// What is said of an operation: a section of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// The call alone, in seconds.
    Work,
    /// The call, and everything that must be durable in a store in memory, in seconds.
    Stored,
    /// The same with SQLite.
    Sqlite,
    /// Keys and values handed to the store, in bytes.
    Bytes,
    /// What SQLite made of them, in bytes written to its files.
    Disk,
    /// The message that results, in bytes.
    Wire,
    /// The state in the store, in bytes.
    State,
    /// Memory that a loaded group takes, in bytes.
    Resident,
}

impl Figure {
    /// All, in the order of the tables.
    pub const ALL: [Self; 8] =
        [Self::Work, Self::Stored, Self::Sqlite, Self::Bytes, Self::Disk, Self::Wire, Self::State, Self::Resident];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Stored => "stored",
            Self::Sqlite => "stored in SQLite",
            Self::Bytes => "bytes given to the store",
            Self::Disk => "bytes written by SQLite",
            Self::Wire => "bytes on the wire",
            Self::State => "bytes of stored state",
            Self::Resident => "resident memory",
        }
    }

    /// Whether it is a time.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Work | Self::Stored | Self::Sqlite)
    }

    /// Where the operation must store for this figure.
    pub fn medium(self) -> Medium {
        match self {
            Self::Sqlite | Self::Disk | Self::Resident => Medium::Sqlite,
            _ => Medium::Memory,
        }
    }
}

/// Where the state goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Medium {
    /// A store in memory.
    Memory,
    /// A SQLite file.
    Sqlite,
}

/// One figure of one operation.
pub type Line = (Operation, Figure);

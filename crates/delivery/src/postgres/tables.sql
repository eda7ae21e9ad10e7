-- Names are compared byte by byte, so that their order is that of SQLite and of Rust.

CREATE TABLE devices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uri text COLLATE "C" NOT NULL UNIQUE,
    user_uri text COLLATE "C" NOT NULL,
    -- Counters of the mailbox, under the lock of this row: the last number given, and what waits.
    mailbox_head bigint NOT NULL DEFAULT 0,
    mailbox_waiting bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX devices_of_user ON devices (user_uri, uri);

-- A row outlives its message (NULL once claimed or replaced), so that a key package that is
-- published again is not given out again.
CREATE TABLE key_packages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device bigint NOT NULL REFERENCES devices,
    reference bytea NOT NULL,
    cipher_suite integer NOT NULL,
    last_resort boolean NOT NULL,
    not_after bigint NOT NULL,
    message bytea
);
-- An index takes values of some 2.7 KB at most; of longer ones it holds the hash.
CREATE UNIQUE INDEX key_packages_once ON key_packages (device, sha256(reference));
CREATE INDEX key_packages_left ON key_packages (device, cipher_suite, last_resort, id) WHERE message IS NOT NULL;
CREATE INDEX key_packages_ever ON key_packages (device, cipher_suite);

-- Everything about a room is ordered by the lock of its row. Rooms are never deleted, so what hangs
-- on them needs no foreign key, which would cost a look at this row for every message.
CREATE TABLE rooms (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uri text COLLATE "C" NOT NULL UNIQUE,
    group_id bytea NOT NULL,
    epoch bigint NOT NULL,
    head bigint NOT NULL,
    -- Whether the roster says who may do what.
    listed boolean NOT NULL,
    -- Whether the roster holds who has proved to know the secrets of an epoch.
    keyed boolean NOT NULL,
    -- The sequence number of the last commit that took a device out of the roster.
    vacated bigint NOT NULL DEFAULT 0,
    -- The sequence number of the commit that closed it.
    closed bigint,
    successor text COLLATE "C",
    -- 0 for more than half of the members.
    reports_needed bigint NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX rooms_of_group ON rooms (sha256(group_id));

-- Who was in the room from which entry of the log to which. In a keyed room nobody knows the leaves: they
-- are numbered downwards from -1.
CREATE TABLE roster (
    room bigint NOT NULL,
    device text COLLATE "C" NOT NULL,
    leaf bigint NOT NULL,
    since bigint NOT NULL,
    until bigint,
    PRIMARY KEY (room, device, leaf, since)
);
CREATE UNIQUE INDEX roster_of_leaves ON roster (room, leaf) WHERE until IS NULL;

-- How members of a keyed room prove in each epoch that they are.
CREATE TABLE access_keys (
    room bigint NOT NULL,
    epoch bigint NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (room, epoch)
);

CREATE TABLE epochs (
    room bigint NOT NULL,
    epoch bigint NOT NULL,
    group_info bytea NOT NULL,
    tree_hash bytea NOT NULL,
    PRIMARY KEY (room, epoch)
);

-- Records of the public state, each from the epoch that set it on; NULL for deleted. Epochs share
-- what did not change between them.
CREATE TABLE state (
    room bigint NOT NULL,
    key bytea NOT NULL,
    epoch bigint NOT NULL,
    value bytea,
    PRIMARY KEY (room, key, epoch)
);
CREATE INDEX state_of_epoch ON state (room, epoch);

CREATE TABLE log (
    room bigint NOT NULL,
    sequence bigint NOT NULL,
    epoch bigint NOT NULL,
    kind smallint NOT NULL,
    accepted_at bigint NOT NULL,
    message bytea NOT NULL,
    PRIMARY KEY (room, sequence)
);
CREATE UNIQUE INDEX one_commit_for_each_epoch ON log (room, epoch) WHERE kind = 3;
CREATE INDEX proposals_of_epoch ON log (room, epoch, sequence) WHERE kind = 2;

CREATE TABLE reports (
    room bigint NOT NULL REFERENCES rooms,
    epoch bigint NOT NULL,
    leaf bigint NOT NULL,
    reason smallint NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (room, epoch, leaf)
);

-- The Welcomes of a commit: what their addressees share, before their secrets and after them, and the
-- number of mailboxes in which each waits.
CREATE TABLE welcomes (
    room bigint NOT NULL,
    cursor bigint NOT NULL,
    number integer NOT NULL,
    waiting bigint NOT NULL,
    head bytea NOT NULL,
    tail bytea NOT NULL,
    tree_hash bytea NOT NULL,
    PRIMARY KEY (room, cursor, number)
) WITH (fillfactor = 70);

CREATE TABLE mailbox (
    device bigint NOT NULL REFERENCES devices,
    sequence bigint NOT NULL,
    room bigint NOT NULL REFERENCES rooms,
    epoch bigint NOT NULL,
    cursor bigint NOT NULL,
    welcome integer NOT NULL,
    secrets bytea NOT NULL,
    PRIMARY KEY (device, sequence)
);
CREATE INDEX mailbox_of_epoch ON mailbox (room, epoch);

CREATE TABLE idempotency (
    device text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    room bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (device, key)
);

-- How often a device has claimed key packages of a user in an hour, which is counted since 1970.
CREATE TABLE claims (
    device text COLLATE "C" NOT NULL,
    user_uri text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (device, user_uri)
);
CREATE INDEX claims_of_hours ON claims (hour);

-- One row.
CREATE TABLE server (
    id integer PRIMARY KEY CHECK (id = 1),
    secret bytea NOT NULL
);

CREATE TABLE device_keys (
    device text COLLATE "C" NOT NULL,
    cipher_suite integer NOT NULL,
    public bytea NOT NULL,
    PRIMARY KEY (device, cipher_suite)
);

CREATE TABLE challenges (
    challenge bytea PRIMARY KEY,
    expires bigint NOT NULL
);
CREATE INDEX challenges_expired ON challenges (expires);

-- Ciphertexts do not get shorter: trying to compress them is wasted.
ALTER TABLE log ALTER message SET STORAGE EXTERNAL;
ALTER TABLE welcomes ALTER tail SET STORAGE EXTERNAL;
ALTER TABLE key_packages ALTER message SET STORAGE EXTERNAL;

-- schema 1
CREATE TABLE free_slots (
    id INTEGER PRIMARY KEY
);
CREATE TABLE groups (
    name BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE records (
    name BLOB NOT NULL,
    kind INTEGER NOT NULL,
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    version INTEGER NOT NULL,
    slot INTEGER,
    sealed BLOB NOT NULL,
    PRIMARY KEY (name, kind, major, minor)
) WITHOUT ROWID;
CREATE TABLE rows (
    space BLOB NOT NULL,
    name BLOB NOT NULL,
    place INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (space, name, place)
) WITHOUT ROWID;
CREATE TABLE slots (
    id INTEGER PRIMARY KEY,
    salt BLOB NOT NULL
);
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema INTEGER NOT NULL,
    id BLOB NOT NULL,
    key_check BLOB NOT NULL
);

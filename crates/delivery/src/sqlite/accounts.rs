//! The secret of the server, the keys of devices and the challenges that are spent.

use keyroom_api::DeviceUri;
use keyroom_crypto::{Secret, Zeroizing};
use rusqlite::{Connection, params};

use super::{Outcome, Verdict};
use crate::{Entered, Entrance, SignatureKey};

pub(super) fn secret(db: &Connection, fresh: &Secret) -> Outcome<Secret> {
    db.prepare_cached("INSERT INTO server (id, secret) VALUES (1, ?) ON CONFLICT DO NOTHING")?
        .execute([fresh.expose()])?;
    db.prepare_cached("SELECT secret FROM server WHERE id = 1")?
        .query_row([], |row| row.get(0).map(|bytes: Vec<u8>| Secret::copy_of(&Zeroizing::new(bytes))))
}

pub(super) fn keys(db: &Connection, device: &DeviceUri) -> Outcome<Vec<SignatureKey>> {
    db.prepare_cached("SELECT cipher_suite, public FROM device_keys WHERE device = ? ORDER BY cipher_suite")?
        .query_map([device.to_string()], |row| Ok(SignatureKey { cipher_suite: row.get(0)?, public: row.get(1)? }))?
        .collect()
}

pub(super) fn enter(db: &Connection, entrance: &Entrance) -> Outcome<Verdict<Entered>> {
    db.prepare_cached("DELETE FROM challenges WHERE expires < ?")?.execute([entrance.now])?;
    let spent = db
        .prepare_cached("INSERT INTO challenges (challenge, expires) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute(params![entrance.challenge, entrance.expires])?;
    if spent == 0 {
        return Ok(Verdict::Undo(Entered::Spent));
    }
    if keys(db, &entrance.device)? != entrance.known {
        return Ok(Verdict::Undo(Entered::Changed));
    }
    for key in &entrance.new {
        db.prepare_cached("INSERT INTO device_keys (device, cipher_suite, public) VALUES (?, ?, ?)")?
            .execute(params![entrance.device.to_string(), key.cipher_suite, key.public])?;
    }
    Ok(Verdict::Keep(Entered::Done))
}

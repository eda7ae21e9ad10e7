//! The secret of the server, the keys of devices and the challenges that are spent.

use keyroom_api::DeviceUri;
use keyroom_crypto::{Secret, Zeroizing};
use tokio_postgres::Row;

use super::session::Session;
use super::{Failure, Outcome, signed};
use crate::{Entered, Entrance, SignatureKey};

pub(super) async fn secret(db: &Session, fresh: &Secret) -> Outcome<Secret> {
    db.execute("INSERT INTO server (id, secret) VALUES (1, $1) ON CONFLICT DO NOTHING", &[&fresh.expose()]).await?;
    let row = db.query_opt("SELECT secret FROM server WHERE id = 1", &[]).await?.ok_or(Failure::Corrupt)?;
    Ok(Secret::copy_of(&Zeroizing::new(row.try_get::<_, Vec<u8>>(0)?)))
}

pub(super) async fn keys(db: &Session, device: &DeviceUri) -> Outcome<Vec<SignatureKey>> {
    let query = "SELECT cipher_suite, public FROM device_keys WHERE device = $1 ORDER BY cipher_suite";
    db.query(query, &[&device.to_string()]).await?.iter().map(key).collect()
}

fn key(row: &Row) -> Outcome<SignatureKey> {
    let cipher_suite = u16::try_from(row.try_get::<_, i32>(0)?).map_err(|_| Failure::Corrupt)?;
    Ok(SignatureKey { cipher_suite, public: row.try_get(1)? })
}

/// The challenge is spent first: of several who bring one, the others wait for the first to end. Two
/// that register a key of one device and suite collide in the primary key, and the second decides
/// again.
pub(super) async fn enter(db: &Session, entrance: &Entrance) -> Outcome<Entered> {
    db.begin().await?;
    let entered = register(db, entrance).await?;
    match entered {
        Entered::Done => db.commit().await?,
        Entered::Spent | Entered::Changed => db.rollback().await?,
    }
    Ok(entered)
}

async fn register(db: &Session, entrance: &Entrance) -> Outcome<Entered> {
    let (now, expires) = (signed(entrance.now), signed(entrance.expires));
    // Those that another node is removing are left to it.
    let expired = "DELETE FROM challenges WHERE challenge IN (
        SELECT challenge FROM challenges WHERE expires < $1 FOR UPDATE SKIP LOCKED)";
    db.execute(expired, &[&now]).await?;
    let spend = "INSERT INTO challenges (challenge, expires) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    if db.execute(spend, &[&entrance.challenge, &expires]).await? == 0 {
        return Ok(Entered::Spent);
    }
    if keys(db, &entrance.device).await? != entrance.known {
        return Ok(Entered::Changed);
    }
    for key in &entrance.new {
        let insert = "INSERT INTO device_keys (device, cipher_suite, public) VALUES ($1, $2, $3)";
        let suite = i32::from(key.cipher_suite);
        db.execute(insert, &[&entrance.device.to_string(), &suite, &key.public]).await?;
    }
    Ok(Entered::Done)
}

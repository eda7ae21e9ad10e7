//! Key packages: published, counted, claimed once.

use keyroom_api::{DeviceClaim, DeviceUri, Offer, Stock, SuiteStock};
use tokio_postgres::Row;

use super::session::Session;
use super::{Failure, Outcome, name, signed, unsigned};
use crate::{CheckedKeyPackage, Claim, Claims, Publication, Published};

/// In seconds.
const HOUR: u64 = 3600;

/// The lock of the device's row makes those who publish for it wait for each other, so that the bound
/// holds.
pub(super) async fn publish(
    db: &Session,
    uri: &DeviceUri,
    packages: &[(CheckedKeyPackage, Vec<u8>)],
    publication: Publication,
    most: u64,
    now: u64,
) -> Outcome<Published> {
    db.begin().await?;
    let device = known(db, uri).await?;
    db.execute("DELETE FROM key_packages WHERE device = $1 AND not_after < $2", &[&device, &signed(now)]).await?;
    if publication == Publication::Replace {
        let replace = "UPDATE key_packages SET message = NULL WHERE device = $1 AND message IS NOT NULL";
        db.execute(replace, &[&device]).await?;
    }
    insert(db, device, packages).await?;
    let count = "SELECT count(*) FROM key_packages WHERE device = $1 AND message IS NOT NULL";
    let left = db.query_opt(count, &[&device]).await?.ok_or(Failure::Corrupt)?;
    if unsigned(left.try_get(0)?)? > most {
        db.rollback().await?;
        return Ok(Published::TooMany);
    }
    let stock = stock(db, uri, now).await?;
    db.commit().await?;
    Ok(Published::Stock(stock))
}

async fn known(db: &Session, uri: &DeviceUri) -> Outcome<i64> {
    let (uri, user) = (uri.to_string(), uri.user().to_string());
    db.execute("INSERT INTO devices (uri, user_uri) VALUES ($1, $2) ON CONFLICT DO NOTHING", &[&uri, &user]).await?;
    let lock = "SELECT id FROM devices WHERE uri = $1 FOR NO KEY UPDATE";
    Ok(db.query_opt(lock, &[&uri]).await?.ok_or(Failure::Corrupt)?.try_get(0)?)
}

/// Adds those that were not there before, in their order. Of the last resorts of a suite the newest
/// stays.
async fn insert(db: &Session, device: i64, packages: &[(CheckedKeyPackage, Vec<u8>)]) -> Outcome<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let references: Vec<&[u8]> = packages.iter().map(|(checked, _)| checked.reference.as_slice()).collect();
    let suites: Vec<i32> = packages.iter().map(|(checked, _)| checked.cipher_suite.into()).collect();
    let last_resorts: Vec<bool> = packages.iter().map(|(checked, _)| checked.last_resort).collect();
    let ends: Vec<i64> = packages.iter().map(|(checked, _)| signed(checked.not_after)).collect();
    let messages: Vec<&[u8]> = packages.iter().map(|(_, message)| message.as_slice()).collect();
    db.execute(
        "INSERT INTO key_packages (device, reference, cipher_suite, last_resort, not_after, message)
         SELECT $1::bigint, reference, suite, last_resort, not_after, message
         FROM unnest($2::bytea[], $3::integer[], $4::boolean[], $5::bigint[], $6::bytea[]) WITH ORDINALITY
            AS sent (reference, suite, last_resort, not_after, message, place)
         ORDER BY place ON CONFLICT DO NOTHING",
        &[&device, &references, &suites, &last_resorts, &ends, &messages],
    )
    .await?;
    db.execute(
        "UPDATE key_packages AS old SET message = NULL
         WHERE device = $1 AND last_resort AND message IS NOT NULL AND EXISTS (
            SELECT 1 FROM key_packages AS new
            WHERE new.device = $1 AND new.cipher_suite = old.cipher_suite AND new.last_resort
                AND new.message IS NOT NULL AND new.id > old.id)",
        &[&device],
    )
    .await?;
    Ok(())
}

pub(super) async fn stock(db: &Session, uri: &DeviceUri, now: u64) -> Outcome<Stock> {
    let rows = db
        .query(
            "SELECT cipher_suite,
                count(*) FILTER (WHERE message IS NOT NULL AND not_after >= $2 AND NOT last_resort),
                count(*) FILTER (WHERE message IS NOT NULL AND not_after >= $2 AND last_resort)
             FROM key_packages WHERE device = (SELECT id FROM devices WHERE uri = $1)
             GROUP BY cipher_suite ORDER BY cipher_suite",
            &[&uri.to_string(), &signed(now)],
        )
        .await?;
    let suites = rows.iter().map(|row| {
        Ok::<_, Failure>(SuiteStock {
            cipher_suite: u16::try_from(row.try_get::<_, i32>(0)?).map_err(|_| Failure::Corrupt)?,
            one_time: unsigned(row.try_get(1)?)?,
            last_resort: unsigned(row.try_get(2)?)?,
        })
    });
    Ok(Stock { suites: suites.collect::<Outcome<_>>()? })
}

/// One statement counts the claim and serves all devices. A row that another claim has locked is being
/// given away, so it is passed over; one that was given away since this statement began no longer has a
/// message and is passed over too. Claims of one device for one user wait for each other at the counter,
/// which is taken first; counters of hours that have passed are dropped without waiting for anybody.
///
/// There is always a row: one without a device says whether the claim was counted.
const CLAIM: &str = "WITH counted AS (
        INSERT INTO claims AS made (device, user_uri, hour, count)
        SELECT $4::text, $1::text, $5::bigint, 1 WHERE $6::bigint > 0
        ON CONFLICT (device, user_uri) DO UPDATE SET hour = greatest(made.hour, excluded.hour),
            count = CASE WHEN made.hour < excluded.hour THEN 1 ELSE made.count + 1 END
        WHERE made.hour < excluded.hour OR made.count < $6::bigint
        RETURNING 1
    ), passed AS (
        DELETE FROM claims USING (
            SELECT device, user_uri FROM claims
            WHERE hour < $5::bigint AND (device <> $4::text OR user_uri <> $1::text)
            LIMIT 100 FOR UPDATE SKIP LOCKED
        ) AS old WHERE claims.device = old.device AND claims.user_uri = old.user_uri
    ), owned AS (
        SELECT id, uri FROM devices WHERE user_uri = $1::text AND EXISTS (SELECT 1 FROM counted)
    ), oldest AS (
        SELECT owned.id AS device, found.id, found.message FROM owned CROSS JOIN LATERAL (
            SELECT id, message FROM key_packages
            WHERE device = owned.id AND cipher_suite = $2::integer AND NOT last_resort
                AND message IS NOT NULL AND not_after >= $3::bigint
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS found
    ), taken AS (
        UPDATE key_packages SET message = NULL FROM oldest WHERE key_packages.id = oldest.id
    )
    SELECT owned.uri, oldest.message, (
            SELECT message FROM key_packages
            WHERE device = owned.id AND cipher_suite = $2::integer AND last_resort
                AND message IS NOT NULL AND not_after >= $3::bigint
            ORDER BY id DESC LIMIT 1
        ), EXISTS (SELECT 1 FROM key_packages WHERE device = owned.id AND cipher_suite = $2::integer),
        asked.counted
    FROM (SELECT EXISTS (SELECT 1 FROM counted) AS counted) AS asked
    LEFT JOIN owned ON true LEFT JOIN oldest ON oldest.device = owned.id ORDER BY owned.uri";

pub(super) async fn claim(db: &Session, claim: &Claim) -> Outcome<Claims> {
    let (user, by, suite) = (claim.user.to_string(), claim.by.to_string(), i32::from(claim.cipher_suite));
    let (now, hour, most) = (signed(claim.now), signed(claim.now / HOUR), signed(claim.most));
    let rows = db.query(CLAIM, &[&user, &suite, &now, &by, &hour, &most]).await?;
    if !rows.first().ok_or(Failure::Corrupt)?.try_get::<_, bool>(4)? {
        return Ok(Claims::TooMany);
    }
    let offers = rows.iter().map(offer).filter_map(Outcome::transpose);
    Ok(Claims::Given(offers.collect::<Outcome<_>>()?))
}

fn offer(row: &Row) -> Outcome<Option<DeviceClaim>> {
    let Some(device) = row.try_get::<_, Option<&str>>(0)? else { return Ok(None) };
    let offer = match (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?) {
        (Some(message), _, _) => Offer::OneTime(message),
        (None, Some(message), _) => Offer::LastResort(message),
        (None, None, true) => Offer::Exhausted,
        (None, None, false) => Offer::Incompatible,
    };
    Ok(Some(DeviceClaim { device: name(device)?, offer }))
}

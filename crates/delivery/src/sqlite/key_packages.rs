//! Key packages: published, counted, claimed once.

use keyroom_api::{DeviceClaim, DeviceUri, Offer, Stock, SuiteStock};
use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Outcome, Verdict};
use crate::{CheckedKeyPackage, Claim, Claims, Publication, Published};

/// In seconds.
const HOUR: u64 = 3600;

pub(super) fn publish(
    db: &Connection,
    uri: &DeviceUri,
    packages: Vec<(CheckedKeyPackage, Vec<u8>)>,
    publication: Publication,
    most: u64,
    now: u64,
) -> Outcome<Verdict<Published>> {
    let device = known(db, uri)?;
    db.prepare_cached("DELETE FROM key_packages WHERE device = ? AND not_after < ?")?.execute(params![device, now])?;
    if publication == Publication::Replace {
        db.prepare_cached("UPDATE key_packages SET message = NULL WHERE device = ? AND message IS NOT NULL")?
            .execute([device])?;
    }
    for (checked, message) in &packages {
        insert(db, device, checked, message)?;
    }
    let left: u64 = db
        .prepare_cached("SELECT count(*) FROM key_packages WHERE device = ? AND message IS NOT NULL")?
        .query_row([device], |row| row.get(0))?;
    if left > most {
        return Ok(Verdict::Undo(Published::TooMany));
    }
    stock(db, uri, now).map(|stock| Verdict::Keep(Published::Stock(stock)))
}

fn known(db: &Connection, uri: &DeviceUri) -> Outcome<i64> {
    db.prepare_cached("INSERT INTO devices (uri, user) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute([uri.to_string(), uri.user().to_string()])?;
    db.prepare_cached("SELECT id FROM devices WHERE uri = ?")?.query_row([uri.to_string()], |row| row.get(0))
}

/// Adds one key package, unless it was there before.
fn insert(db: &Connection, device: i64, checked: &CheckedKeyPackage, message: &[u8]) -> Outcome<()> {
    let added = db
        .prepare_cached(
            "INSERT INTO key_packages (device, reference, cipher_suite, last_resort, not_after, message)
             VALUES (:device, :reference, :suite, :last_resort, :not_after, :message) ON CONFLICT DO NOTHING",
        )?
        .execute(named_params! {
            ":device": device,
            ":reference": checked.reference,
            ":suite": checked.cipher_suite,
            ":last_resort": checked.last_resort,
            ":not_after": i64::try_from(checked.not_after).unwrap_or(i64::MAX),
            ":message": message,
        })?;
    if added == 1 && checked.last_resort {
        let newest = db.last_insert_rowid();
        db.prepare_cached(
            "UPDATE key_packages SET message = NULL
             WHERE device = ? AND cipher_suite = ? AND last_resort AND message IS NOT NULL AND id <> ?",
        )?
        .execute(params![device, checked.cipher_suite, newest])?;
    }
    Ok(())
}

pub(super) fn stock(db: &Connection, uri: &DeviceUri, now: u64) -> Outcome<Stock> {
    let mut query = db.prepare_cached(
        "SELECT cipher_suite,
                count(*) FILTER (WHERE message IS NOT NULL AND not_after >= :now AND NOT last_resort),
                count(*) FILTER (WHERE message IS NOT NULL AND not_after >= :now AND last_resort)
         FROM key_packages JOIN devices ON devices.id = device
         WHERE uri = :uri GROUP BY cipher_suite ORDER BY cipher_suite",
    )?;
    let suites = query.query_map(named_params! { ":uri": uri.to_string(), ":now": now }, |row| {
        Ok(SuiteStock { cipher_suite: row.get(0)?, one_time: row.get(1)?, last_resort: row.get(2)? })
    })?;
    Ok(Stock { suites: suites.collect::<Outcome<_>>()? })
}

pub(super) fn claim(db: &Connection, claim: &Claim) -> Outcome<Verdict<Claims>> {
    if count(db, claim)? > claim.most {
        return Ok(Verdict::Undo(Claims::TooMany));
    }
    let mut query = db.prepare_cached("SELECT id, uri FROM devices WHERE user = ? ORDER BY uri")?;
    let devices = query.query_map([claim.user.to_string()], |row| Ok((row.get(0)?, super::rooms::name(row, 1)?)))?;
    let offers = devices.map(|device| {
        let (id, device): (i64, DeviceUri) = device?;
        Ok(DeviceClaim { device, offer: offer(db, id, claim.cipher_suite, claim.now)? })
    });
    Ok(Verdict::Keep(Claims::Given(offers.collect::<Outcome<_>>()?)))
}

/// How often the device has asked for the user in this hour, now included.
fn count(db: &Connection, claim: &Claim) -> Outcome<u64> {
    let hour = claim.now / HOUR;
    db.prepare_cached("DELETE FROM claims WHERE hour < ?")?.execute([hour])?;
    db.prepare_cached(
        "INSERT INTO claims (device, user, hour, count) VALUES (?, ?, ?, 1)
         ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
    )?
    .query_row(params![claim.by.to_string(), claim.user.to_string(), hour], |row| row.get(0))
}

fn offer(db: &Connection, device: i64, suite: u16, now: u64) -> Outcome<Offer> {
    let mut oldest = db.prepare_cached(
        "SELECT id, last_resort, message FROM key_packages
         WHERE device = ? AND cipher_suite = ? AND message IS NOT NULL AND not_after >= ?
         ORDER BY last_resort, id LIMIT 1",
    )?;
    let found = oldest.query_row(params![device, suite, now], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, row.get::<_, Vec<u8>>(2)?))
    });
    match found.optional()? {
        Some((_, true, message)) => Ok(Offer::LastResort(message)),
        Some((id, false, message)) => {
            db.prepare_cached("UPDATE key_packages SET message = NULL WHERE id = ?")?.execute([id])?;
            Ok(Offer::OneTime(message))
        }
        None => {
            let ever = db
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM key_packages WHERE device = ? AND cipher_suite = ?)")?
                .query_row(params![device, suite], |row| row.get(0))?;
            Ok(if ever { Offer::Exhausted } else { Offer::Incompatible })
        }
    }
}

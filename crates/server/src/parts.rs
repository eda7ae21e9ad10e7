//! What requests say outside their bodies: sender, names, query, idempotency key.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use keyroom_api::{Code, DeviceUri, Host, IDEMPOTENCY_HEADER, IdempotencyKey, NameError, Problem, RoomUri, UserUri};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::authenticate::Authenticated;
use crate::refused::Refused;

/// The device that sends the request.
pub(crate) struct Caller(pub(crate) DeviceUri);

impl FromRequestParts<App> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        Ok(Self(authenticated(parts, app)?.device))
    }
}

/// The same, where it matters how long it holds.
pub(crate) struct Session(pub(crate) Authenticated);

impl FromRequestParts<App> for Session {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        Ok(Self(authenticated(parts, app)?))
    }
}

/// Who sends a request, if it has not sent too many.
fn authenticated(parts: &Parts, app: &App) -> Result<Authenticated, Refused> {
    let caller = app.authenticate.device(parts)?;
    app.limiters.device(&caller.device)?;
    Ok(caller)
}

/// The room in the path.
pub(crate) struct OfRoom(pub(crate) RoomUri);

/// The user in the path.
pub(crate) struct OfUser(pub(crate) UserUri);

/// The device in the path.
pub(crate) struct OfDevice(pub(crate) DeviceUri);

/// The mailbox item in the path.
pub(crate) struct OfItem(pub(crate) DeviceUri, pub(crate) u64);

/// The tree in the path, by its hash.
pub(crate) struct OfTree(pub(crate) RoomUri, pub(crate) Vec<u8>);

macro_rules! from_path {
    ($name:ident, $parts:ty, $read:expr) => {
        impl FromRequestParts<App> for $name {
            type Rejection = Refused;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
                let names: Path<$parts> = Path::from_request_parts(parts, app)
                    .await
                    .map_err(|_| Refused::malformed("the path does not have its form"))?;
                let read: fn(&Host, $parts) -> Result<Self, NameError> = $read;
                read(app.delivery.host(), names.0).map_err(wrong_name)
            }
        }
    };
}

from_path!(OfRoom, String, |host, room| Ok(Self(RoomUri::new(host.clone(), room.parse()?))));
from_path!(OfUser, String, |host, user| Ok(Self(UserUri::new(host.clone(), user.parse()?))));
from_path!(OfDevice, (String, String), |host, (user, device)| Ok(Self(device_uri(host, &user, &device)?)));
from_path!(OfItem, (String, String, u64), |host, (user, device, item)| {
    Ok(Self(device_uri(host, &user, &device)?, item))
});

from_path!(OfTree, (String, String), |host, (room, tree)| {
    // What is not a hash is the hash of no tree.
    Ok(Self(RoomUri::new(host.clone(), room.parse()?), hex::decode(tree).unwrap_or_default()))
});

fn device_uri(host: &Host, user: &str, device: &str) -> Result<DeviceUri, NameError> {
    Ok(UserUri::new(host.clone(), user.parse()?).device(device.parse()?))
}

fn wrong_name(error: NameError) -> Refused {
    Refused(Box::new(Problem::new(Code::WrongName).detail(error)))
}

/// The query.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        // The library's own words would repeat what the request said.
        let query = Query::try_from_uri(&parts.uri).map_err(|_| Refused::malformed("the query is malformed"))?;
        Ok(Self(query.0))
    }
}

/// The idempotency key, if there is one.
pub(crate) struct Once(pub(crate) Option<IdempotencyKey>);

impl FromRequestParts<App> for Once {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_HEADER) else { return Ok(Self(None)) };
        let key = value.to_str().unwrap_or_default().parse().map_err(Refused::malformed)?;
        Ok(Self(Some(key)))
    }
}

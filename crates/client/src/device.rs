//! Who a client is.

use keyroom_api::{ShortName, UserUri};
use keyroom_store::Store;

use crate::rows::DeviceRow;
use crate::transport::HttpTransport;
use crate::{Error, Options, Usage, context};

/// A host that no server has, in the one request that finds out the real one.
const NO_HOST: &str = "unknown.invalid";

/// Who this client is: as stored, or as asked for with the server's host.
pub(crate) async fn device(store: &dyn Store, server: &str, options: &Options) -> Result<DeviceRow, Error> {
    let name: ShortName = options.device.parse()?;
    if let Some(stored) = context::stored_device(store)? {
        let host = stored.device.user().host().clone();
        let asked = user(&options.user, || host)?.device(name);
        return if asked == stored.device { Ok(stored) } else { Err(Usage::OtherDevice.into()) };
    }
    let nobody = UserUri::new(NO_HOST.parse()?, name.clone()).device(name.clone());
    let host = HttpTransport::host(server, nobody).await.map_err(|error| crate::room::refused(&error))?;
    let device = user(&options.user, || host.clone())?.device(name);
    if *device.user().host() != host {
        return Err(Usage::ForeignHost.into());
    }
    Ok(DeviceRow { device, cipher_suite: options.cipher_suite })
}

/// A user by URI, or by short name at a host.
fn user(name: &str, host: impl FnOnce() -> keyroom_api::Host) -> Result<UserUri, Error> {
    if name.starts_with("mimi://") {
        return Ok(name.parse()?);
    }
    Ok(UserUri::new(host(), name.parse()?))
}

//! Where a client keeps its state: a folder with the encrypted store and, unless the environment
//! gives it, the store's key.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use keyroom::{SqliteOptions, SqliteStore, StoreKey};

use crate::failure::Failure;

/// The variable that holds the key of the store, as 64 hexadecimal digits.
const KEY_VARIABLE: &str = "KEYROOM_STORE_KEY";

/// An open folder. While it is, no other process uses it.
pub(crate) struct State {
    pub(crate) store: SqliteStore,
    _lock: File,
}

/// Opens the state in a folder, or makes a new one.
///
/// # Errors
/// [`Failure::Usage`] if it is in use, or cannot be opened with the key.
pub(crate) fn open(folder: &Path) -> Result<State, Failure> {
    make_folder(folder)?;
    let lock = lock(folder)?;
    let key = key(folder)?;
    let store = SqliteStore::open(folder.join("client.db"), &key, SqliteOptions::default())
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    Ok(State { store, _lock: lock })
}

/// The folder of a user of a server, where the system keeps data of applications.
pub(crate) fn default_folder(server: &str, user: &str) -> Result<PathBuf, Failure> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home =
        || std::env::home_dir().map(|home| home.join(if cfg!(windows) { "AppData/Local" } else { ".local/share" }));
    let data = data.or_else(home).ok_or_else(|| Failure::usage("there is no home folder: give --state"))?;
    Ok(data.join("keyroom").join(file_name(server)).join(file_name(user)))
}

/// A text as the name of a file: what could mean something to a file system becomes `_`.
fn file_name(text: &str) -> String {
    let text = text.trim_start_matches("http://").trim_start_matches("https://").trim_start_matches("mimi://");
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' }).collect()
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unusable(folder, &error))
}

/// A lock that ends with the process, however it ends.
fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::usage(format!("{} is in use by another process", folder.display()))),
    }
}

/// The key of the store: from the environment, or from a file beside it that only its owner reads.
fn key(folder: &Path) -> Result<StoreKey, Failure> {
    if let Ok(text) = std::env::var(KEY_VARIABLE) {
        let key =
            parse(text.trim()).ok_or_else(|| Failure::usage(format!("{KEY_VARIABLE} is not 64 hexadecimal digits")))?;
        return Ok(StoreKey::new(key));
    }
    let path = folder.join("client.key");
    match File::open(&path) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(|error| unusable(&path, &error))?;
            let key = parse(text.trim()).ok_or_else(|| Failure::usage(format!("{} is damaged", path.display())))?;
            Ok(StoreKey::new(key))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => new_key(&path),
        Err(error) => Err(unusable(&path, &error)),
    }
}

fn new_key(path: &Path) -> Result<StoreKey, Failure> {
    let mut key = [0; StoreKey::LENGTH];
    getrandom::fill(&mut key).map_err(|error| Failure::usage(format!("no randomness: {error}")))?;
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(hex::encode(key).as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| unusable(path, &error))?;
    Ok(StoreKey::new(key))
}

fn parse(text: &str) -> Option<[u8; StoreKey::LENGTH]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

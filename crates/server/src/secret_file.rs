//! Files that nobody else on the machine may read.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file with a secret is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// Its mode lets others than its owner at it.
    #[error("{} can be read or changed by others (mode {mode:04o}): run chmod 600 {}", .file.display(), .file.display())]
    Loose {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing can be learned about it.
    #[error("{} cannot be read ({kind}): give a file that this user can read", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
}

/// Checks that only its owner can read and change a file. Where files have no modes, everything passes that is
/// there.
///
/// # Errors
/// [`SecretFileError`].
pub fn check_secret_file(file: &Path) -> Result<(), SecretFileError> {
    let metadata =
        file.metadata().map_err(|error| SecretFileError::Unreadable { file: file.to_owned(), kind: error.kind() })?;
    match mode(&metadata) & 0o077 {
        0 => Ok(()),
        _ => Err(SecretFileError::Loose { file: file.to_owned(), mode: mode(&metadata) }),
    }
}

/// The same for a SQLite database and the files beside it, as far as they are there.
///
/// # Errors
/// [`SecretFileError`] for the first that is not as it should be.
pub fn check_database_files(database: &Path) -> Result<(), SecretFileError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = OsString::from(database);
        name.push(suffix);
        match check_secret_file(Path::new(&name)) {
            Err(SecretFileError::Unreadable { kind: io::ErrorKind::NotFound, .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_anybody_else_can_open_is_refused_with_its_name_and_mode() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let missing = SecretFileError::Unreadable { file: file.clone(), kind: io::ErrorKind::NotFound };
        assert_eq!(check_secret_file(&file), Err(missing));
        write(&file, "secret").unwrap();
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o700, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let expected = if good { Ok(()) } else { Err(SecretFileError::Loose { file: file.clone(), mode }) };
            assert_eq!(check_secret_file(&file), expected, "{mode:o}");
        }
    }

    #[test]
    fn the_files_beside_a_database_count_as_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("keyroom.db");
        assert_eq!(check_database_files(&database), Ok(()), "nothing is there yet");
        for name in ["keyroom.db", "keyroom.db-wal"] {
            let file = folder.path().join(name);
            write(&file, "").unwrap();
            set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(check_database_files(&database), Ok(()));
        let log = folder.path().join("keyroom.db-wal");
        set_permissions(&log, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(check_database_files(&database), Err(SecretFileError::Loose { file: log, mode: 0o644 }));
    }
}

//! Copies of a file that is in use.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::schema::{failure, open_reader};
use super::{Outcome, Sqlite};
use crate::LedgerError;

/// Why there is no copy. Nothing is left where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no database to copy.
    #[error("there is no database to copy")]
    Missing,
    /// Something is there already, or was left by a copy that was cut off.
    #[error("a file of that name, or of that name with .partial, is there: nothing is overwritten")]
    Exists,
    /// The file cannot be written.
    #[error("the copy cannot be written: {0}")]
    File(io::ErrorKind),
    /// The database does not let itself be read, or the disk is full.
    #[error("the database cannot be copied: {0}")]
    Database(#[from] LedgerError),
    /// The copy is not what it should be.
    #[error("the copy is damaged")]
    Damaged,
}

impl Sqlite {
    /// Copies a database while a server writes to it: the copy is the state at one moment, so it has of every log
    /// the entries up to then and none after. It is for its owner alone, like the database, since it has the
    /// secret of the sessions; it is checked, and on the disk, when this returns.
    ///
    /// # Errors
    /// [`BackupError`]. A file that is there is never touched.
    pub fn back_up(database: impl AsRef<Path>, copy: impl AsRef<Path>) -> Result<(), BackupError> {
        let (database, copy) = (database.as_ref(), copy.as_ref());
        if !database.is_file() {
            return Err(BackupError::Missing);
        }
        if copy.symlink_metadata().is_ok() {
            return Err(BackupError::Exists);
        }
        let partial = Partial::create(copy)?;
        write(database, &partial.0)?;
        // A name that has come up meanwhile is not replaced.
        fs::hard_link(&partial.0, copy).map_err(refused)?;
        drop(partial);
        sync_folder(copy).map_err(|error| BackupError::File(error.kind()))
    }
}

/// A copy that is not complete; it goes when this does.
struct Partial(PathBuf);

impl Partial {
    fn create(copy: &Path) -> Result<Self, BackupError> {
        let mut name = OsString::from(copy);
        name.push(".partial");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&name).map_err(refused)?;
        Ok(Self(name.into()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing more can be done about it.
        let _ = fs::remove_file(&self.0);
    }
}

fn write(database: &Path, partial: &Path) -> Result<(), BackupError> {
    let target = partial.to_str().ok_or(BackupError::File(io::ErrorKind::InvalidFilename))?;
    let db = open_reader(database)?;
    db.execute("VACUUM INTO ?1", [target]).map_err(|e| failure(&e))?;
    drop(db);
    if !is_sound(partial).map_err(|e| failure(&e))? {
        return Err(BackupError::Damaged);
    }
    let file = File::open(partial).and_then(|file| file.sync_all());
    file.map_err(|error| BackupError::File(error.kind()))
}

fn is_sound(partial: &Path) -> Outcome<bool> {
    let db = rusqlite::Connection::open_with_flags(partial, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    Ok(verdict == "ok")
}

fn refused(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists,
        kind => BackupError::File(kind),
    }
}

/// The new name is on the disk when its folder is.
fn sync_folder(copy: &Path) -> io::Result<()> {
    let folder = copy.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_opens_is_its_owners_alone_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        assert_eq!(Sqlite::back_up(file("db"), file("copy")), Err(BackupError::Missing));
        let open = Sqlite::open(file("db")).unwrap();
        Sqlite::back_up(file("db"), file("copy")).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(file("copy").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(Sqlite::inspect(file("copy")), Sqlite::inspect(file("copy")));
        assert_eq!(Sqlite::inspect(file("copy")).unwrap().version, Sqlite::inspect(file("db")).unwrap().version);
        drop((open, Sqlite::open(file("copy")).unwrap()));

        fs::write(file("mine"), "mine").unwrap();
        fs::write(file("other.partial"), "cut off").unwrap();
        for name in ["copy", "mine", "other"] {
            assert_eq!(Sqlite::back_up(file("db"), file(name)), Err(BackupError::Exists), "{name}");
        }
        assert_eq!(fs::read(file("mine")).unwrap(), b"mine");
        assert_eq!(fs::read(file("other.partial")).unwrap(), b"cut off");
        let nowhere = Sqlite::back_up(file("db"), file("nowhere").join("copy"));
        assert_eq!(nowhere, Err(BackupError::File(io::ErrorKind::NotFound)));
        assert!(!file("copy.partial").exists());
    }
}

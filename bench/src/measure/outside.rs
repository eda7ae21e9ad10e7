//! What happens before a group is old: key packages, founding, the first commit.

use tempfile::TempDir;

use super::recorder::{Recorder, Take};
use crate::operation::{Medium, Operation};
use crate::subject::{Change, Kind, Storage, Subject};

/// Makes key packages.
pub fn key_packages(kind: Kind, recorder: &mut Recorder<'_>) {
    let folder = Folder::new();
    let mut client = folder.client(kind, "client", recorder.medium);
    for turn in 0..20 {
        let take = if turn == 0 { Take::Bytes } else { Take::Time };
        recorder.make((Operation::KeyPackage, take), client.as_mut(), |client| client.key_package());
    }
}

/// Founds groups.
pub fn create(kind: Kind, key_packages: &[Vec<u8>], groups: usize, recorder: &mut Recorder<'_>) {
    for _ in 0..groups {
        let folder = Folder::new();
        let mut founder = folder.client(kind, "founder", recorder.medium);
        recorder.make((Operation::Create, Take::Both), founder.as_mut(), |client| client.create(key_packages));
    }
}

/// Two clients join a group in which only its founder has committed; the first commits, the second
/// follows. The first is the founder's neighbour: it encrypts to every other member, as the founder does.
pub fn fresh(kind: Kind, key_packages: &[Vec<u8>], recorder: &mut Recorder<'_>) {
    let folder = Folder::new();
    let [mut first, mut second] = folder.guests(kind, recorder.medium);
    let mut added = key_packages.to_vec();
    let far = added.len() / 4 * 3;
    added[0] = first.key_package().0;
    added[far] = second.key_package().0;
    let (welcome, _) = Kind::KeyroomAwsLc.client("founder", Storage::Memory).create(&added);
    for guest in [&mut first, &mut second] {
        recorder.run((Operation::JoinFresh, Take::Both), guest.as_mut(), |guest| ((), guest.join(&welcome)));
    }
    let message =
        recorder.make((Operation::CommitFresh, Take::Both), first.as_mut(), |first| first.commit(Change::Keys));
    let receive = (Operation::ReceiveFresh, Take::Both);
    recorder.run(receive, second.as_mut(), |second| ((), second.receive(&message)));
    assert_eq!(first.epoch_authenticator(), second.epoch_authenticator());
}

/// Where clients have their files.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one, deleted when it is dropped.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Where a client of this name has its file.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name).with_extension("db")
    }

    /// A client of this name.
    pub fn client(&self, kind: Kind, name: &str, medium: Medium) -> Box<dyn Subject> {
        match medium {
            Medium::Memory => kind.client(name, Storage::Memory),
            Medium::Sqlite => kind.client(name, Storage::Sqlite(&self.file(name))),
        }
    }

    /// The two whose life is measured.
    pub fn guests(&self, kind: Kind, medium: Medium) -> [Box<dyn Subject>; 2] {
        ["first", "second"].map(|name| self.client(kind, name, medium))
    }
}

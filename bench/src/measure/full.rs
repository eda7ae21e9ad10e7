//! Life in a group whose every parent has a key.

use keyroom_insider::Admitted;

use super::outside::Folder;
use super::recorder::{Recorder, Take};
use super::{Stage, resident};
use crate::operation::{Figure, Medium, Operation};
use crate::subject::{Change, Kind, Storage, Subject};
use crate::world::parse_key_package;

/// Two clients of a kind join; one commits and sends, the other follows and reads.
pub fn live(stage: &Stage<'_>, kind: Kind, recorder: &mut Recorder<'_>) {
    let folder = Folder::new();
    let guests = folder.guests(kind, recorder.medium);
    let mut life = Life { members: stage.members, kind, guests, recorder };
    let admitted = life.enter(stage);
    if let Some(admitted) = admitted.filter(|_| stage.members >= 100) {
        life.backlog(stage, &admitted);
    }
    life.commits_and_messages(stage);
    life.open(stage);
    life.state();
    life.changes(stage);
    let Life { guests: [first, second], recorder, .. } = life;
    assert_eq!(first.epoch_authenticator(), second.epoch_authenticator());
    let loads = stage.members >= 100 && recorder.medium == Medium::Sqlite;
    if loads && stage.wants(kind, Operation::Member, Medium::Sqlite) {
        second.close();
        let resident = resident::measure(kind, &folder.file("second"));
        recorder.keep(Operation::Member, Figure::Resident, resident);
    }
}

struct Life<'a, 'b> {
    members: u32,
    kind: Kind,
    guests: [Box<dyn Subject>; 2],
    recorder: &'a mut Recorder<'b>,
}

impl Life<'_, '_> {
    fn wants(&self, stage: &Stage<'_>, operations: &[Operation]) -> bool {
        operations.iter().any(|operation| stage.wants(self.kind, *operation, self.recorder.medium))
    }

    /// Both join. In a group of two the first has founded it.
    fn enter(&mut self, stage: &Stage<'_>) -> Option<Admitted> {
        let [first, second] = &mut self.guests;
        let join = (Operation::JoinFull, Take::Both);
        if stage.members == 2 {
            let (welcome, _) = first.create(&[second.key_package().0]);
            self.recorder.run(join, second.as_mut(), |second| ((), second.join(&welcome)));
            return None;
        }
        let packages = [first, second].map(|guest| parse_key_package(&guest.key_package().0));
        let admitted = stage.populated().admit(packages.each_ref(), &mut stage.rng());
        for guest in &mut self.guests {
            self.recorder.run(join, guest.as_mut(), |guest| ((), guest.join(admitted.welcome())));
        }
        Some(admitted)
    }

    /// The second reads what 50 members have sent while it was away.
    fn backlog(&mut self, stage: &Stage<'_>, admitted: &Admitted) {
        if !self.wants(stage, &[Operation::Backlog]) {
            return;
        }
        let data = [0x2a; 32];
        let messages = stage.populated().backlog(admitted, 50, 1_000, &data, &mut crate::world::rng(5));
        let second = self.guests[1].as_mut();
        let backlog = (Operation::Backlog, Take::Both);
        self.recorder.run(backlog, second, |second| ((), second.backlog(&messages, &data)));
    }

    /// The first time the bytes are counted, from then on the time is taken.
    fn commits_and_messages(&mut self, stage: &Stage<'_>) {
        use Operation::{
            Commit, Decrypt1k, Decrypt32, Decrypt64k, DecryptFirst, Encrypt1k, Encrypt32, Encrypt64k, EncryptFirst,
            Receive,
        };
        let lengths = [(Encrypt32, Decrypt32, 32), (Encrypt1k, Decrypt1k, 1 << 10), (Encrypt64k, Decrypt64k, 1 << 16)];
        let wanted = lengths.map(|(encrypt, decrypt, _)| self.wants(stage, &[encrypt, decrypt]));
        if !wanted.contains(&true) && !self.wants(stage, &[Commit, Receive, EncryptFirst, DecryptFirst]) {
            return;
        }
        for turn in 0..=stage.plan.commits(self.members, self.recorder.medium) {
            let take = if turn == 0 { Take::Bytes } else { Take::Time };
            self.commit((Commit, Receive), Change::Keys, take);
            self.message((EncryptFirst, DecryptFirst), 32, take);
            for ((encrypt, decrypt, length), _) in lengths.into_iter().zip(wanted).filter(|(_, wanted)| *wanted) {
                (0..stage.plan.messages()).for_each(|_| self.message((encrypt, decrypt), length, take));
            }
        }
    }

    fn commit(&mut self, (commit, receive): (Operation, Operation), change: Change<'_>, take: Take) {
        let [first, second] = &mut self.guests;
        let message = self.recorder.make((commit, take), first.as_mut(), |first| first.commit(change));
        self.recorder.run((receive, take), second.as_mut(), |second| ((), second.receive(&message)));
    }

    fn message(&mut self, (encrypt, decrypt): (Operation, Operation), length: usize, take: Take) {
        let data = vec![0x2a; length];
        let [first, second] = &mut self.guests;
        let message = self.recorder.make((encrypt, take), first.as_mut(), |first| first.encrypt(&data));
        self.recorder.run((decrypt, take), second.as_mut(), |second| ((), second.decrypt(&message, &data)));
    }

    /// The second opens the group anew for each message.
    fn open(&mut self, stage: &Stage<'_>) {
        if !self.wants(stage, &[Operation::Open]) {
            return;
        }
        let data = [0x2a; 32];
        let [first, second] = &mut self.guests;
        for _ in 0..stage.plan.commits(self.members, self.recorder.medium) {
            let (message, _) = first.encrypt(&data);
            let open = (Operation::Open, Take::Time);
            self.recorder.run(open, second.as_mut(), |second| ((), second.open(&message, &data)));
        }
    }

    fn state(&mut self) {
        if let Some(state) = self.guests[1].state().filter(|_| self.recorder.medium == Medium::Memory) {
            self.recorder.keep(Operation::Member, Figure::State, state as f64);
        }
    }

    /// One comes and goes again, several times. Between, both guests commit, so that the tree has as few
    /// blanks as they can reach.
    fn changes(&mut self, stage: &Stage<'_>) {
        use Operation::{Add, ReceiveAdd, ReceiveRemove, Remove};
        if !self.wants(stage, &[Add, ReceiveAdd, Remove, ReceiveRemove]) {
            return;
        }
        let mut newcomer = Kind::KeyroomAwsLc.client("newcomer", Storage::Memory);
        for turn in 0..=stage.plan.changes(self.members) {
            let take = if turn == 0 { Take::Bytes } else { Take::Time };
            let key_package = newcomer.key_package().0;
            self.commit((Add, ReceiveAdd), Change::Add(&key_package), take);
            self.commit((Remove, ReceiveRemove), Change::Remove(self.members), take);
            let [first, second] = &mut self.guests;
            let (message, _) = second.commit(Change::Keys);
            first.receive(&message);
        }
    }
}

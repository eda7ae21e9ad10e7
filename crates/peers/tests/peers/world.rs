//! A group of clients of several implementations, and the delivery between them.

use super::peer::{Change, Committed, Event, Kind, Peer, Proposal, Style, client};

pub(super) struct World {
    pub(super) members: Vec<Box<dyn Peer>>,
    suite: u16,
    style: Style,
    /// Clients made so far, for their names.
    made: usize,
}

impl World {
    /// One client has founded a group.
    pub(super) fn founded_by(kind: Kind, suite: u16, style: Style) -> Self {
        let mut world = Self { members: Vec::new(), suite, style, made: 0 };
        let mut founder = world.client(kind);
        founder.create(b"a room for all");
        world.members.push(founder);
        world
    }

    /// A client that is not in the group yet.
    pub(super) fn client(&mut self, kind: Kind) -> Box<dyn Peer> {
        self.made += 1;
        client(kind, &format!("{kind:?} {}", self.made), self.suite, self.style)
    }

    /// A member commits; the others follow, and those who are removed learn it. They are returned.
    pub(super) fn commit(&mut self, from: usize, change: &Change) -> (Committed, Vec<Box<dyn Peer>>) {
        let committed = self.members[from].commit(change);
        let removed = self.deliver_commit(from, &committed.message);
        (committed, removed)
    }

    /// A member adds these clients in one commit.
    pub(super) fn add(&mut self, from: usize, mut clients: Vec<Box<dyn Peer>>) {
        let adds = clients.iter_mut().map(|client| client.key_package()).collect();
        let (committed, _) = self.commit(from, &Change { adds, ..Change::default() });
        self.welcome(clients, &committed);
    }

    /// Clients that a commit has added join.
    pub(super) fn welcome(&mut self, clients: Vec<Box<dyn Peer>>, committed: &Committed) {
        let welcome = committed.welcome.as_ref().expect("a Welcome for the clients added");
        for mut client in clients {
            client.join(welcome, committed.tree.as_deref());
            self.members.push(client);
        }
        self.agree();
    }

    /// A member proposes something to all others.
    pub(super) fn propose(&mut self, from: usize, proposal: &Proposal) {
        let message = self.members[from].propose(proposal);
        for (position, member) in self.members.iter_mut().enumerate() {
            if position != from {
                assert_eq!(member.receive(&message), Ok(Event::Proposal), "{} {proposal:?}", member.name());
            }
        }
    }

    /// A client joins by an external commit on the GroupInfo of a member.
    pub(super) fn join_external(&mut self, mut client: Box<dyn Peer>, from: usize) {
        let group_info = self.members[from].group_info();
        let commit = client.join_external(&group_info);
        for member in &mut self.members {
            assert_eq!(member.receive(&commit), Ok(Event::NewEpoch), "{} follows {}", member.name(), client.name());
        }
        self.members.push(client);
        self.agree();
    }

    /// Hands a commit to all but its maker. Returns those who are out.
    fn deliver_commit(&mut self, from: usize, message: &[u8]) -> Vec<Box<dyn Peer>> {
        let maker = self.members[from].name().to_owned();
        let mut gone = Vec::new();
        for (position, mut member) in std::mem::take(&mut self.members).into_iter().enumerate() {
            if position == from {
                self.members.push(member);
                continue;
            }
            match member.receive(message) {
                Ok(Event::NewEpoch) => self.members.push(member),
                Ok(Event::Removed) => gone.push(member),
                other => panic!("{} cannot follow {maker}: {other:?}", member.name()),
            }
        }
        if !gone.is_empty() {
            self.agree();
        }
        gone
    }

    /// All members see the same group and have the same secrets.
    pub(super) fn agree(&self) {
        let expected = self.members[0].agreement();
        for member in &self.members {
            assert_eq!(member.agreement(), expected, "{} differs from {}", member.name(), self.members[0].name());
        }
        assert_eq!(expected.members.len(), self.members.len());
        for member in &self.members {
            assert!(expected.members.contains(&(member.own_leaf(), member.name().as_bytes().to_vec())));
        }
    }

    /// Each member sends to all others; of each the second of two messages comes first.
    pub(super) fn talk(&mut self) {
        self.agree();
        for from in 0..self.members.len() {
            let leaf = self.members[from].own_leaf();
            let texts = [b"first".to_vec(), self.members[from].name().repeat(9).into_bytes()];
            let messages = texts.each_ref().map(|text| self.members[from].send(text));
            for (position, member) in self.members.iter_mut().enumerate() {
                if position == from {
                    continue;
                }
                for turn in [1, 0] {
                    let expected = Event::Text { sender: leaf, text: texts[turn].clone() };
                    assert_eq!(member.receive(&messages[turn]), Ok(expected), "{}", member.name());
                }
            }
        }
    }
}

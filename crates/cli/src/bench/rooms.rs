//! Rooms with groups that are made by the protocol and judged by the server.

use std::collections::HashMap;
use std::sync::Arc;

use keyroom_api::{Bundle as _, CommitBundle, Connection, RoomBundle, RoomUri};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::group::{
    ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, PendingCommit, Received, TreeDelivery,
};
use keyroom_mls::padding::Padding;
use keyroom_wire::{Extensions, GroupId};

use super::Plan;
use super::devices::{Device, devices, for_each, in_parallel, now, rng, suite, told};
use super::host::{HOST, Host};

/// Members of a group.
pub(super) const MEMBERS: usize = 10;

/// Groups where there are many.
const GROUPS: usize = 1_000;

/// Devices of which many groups are made, each in a tenth of them; as many connections send.
const POPULATION: usize = 100;

/// What a commit brings for the server: it keeps the tree itself.
const FOR_SERVER: GroupInfoContent =
    GroupInfoContent { tree: TreeDelivery::OutOfBand, external: ExternalJoins::NotOffered };

/// A room, as its founder sees it.
pub(super) struct Room {
    /// Its name.
    pub(super) uri: RoomUri,
    /// Its founder, as an index of the devices.
    pub(super) founder: usize,
    /// The founder's group.
    pub(super) group: Group,
    /// The Welcome of the others.
    pub(super) welcome: Vec<u8>,
}

/// Many rooms of ten, and the devices in them.
pub(super) struct Town {
    /// Each founds as many rooms as any other.
    pub(super) devices: Vec<Device>,
    /// In the order of their founders, again and again.
    pub(super) rooms: Vec<Room>,
}

/// What the server is to learn of a room that has been made.
struct Made {
    room: Room,
    founding: RoomBundle,
    addition: CommitBundle,
}

impl Town {
    /// The town of most measures.
    pub(super) async fn build(plan: &Plan, host: &Host) -> Result<Self, String> {
        let groups = plan.scaled(GROUPS);
        Self::of(groups, POPULATION.min(groups).max(MEMBERS), host).await
    }

    /// So many groups of ten among so many devices.
    pub(super) async fn of(groups: usize, population: usize, host: &Host) -> Result<Self, String> {
        let devices = devices(0, population)?;
        let made = in_parallel(groups, |number| {
            let founder = (number * MEMBERS % population + number * MEMBERS / population) % population;
            let others: Vec<&Device> = devices.iter().cycle().skip(founder + 1).take(MEMBERS - 1).collect();
            make(&format!("room{number}"), (founder, devices.get(founder).ok_or("no founder")?), &others)
        })?;
        let connections: HashMap<usize, Connection> = made
            .iter()
            .map(|made| Ok((made.room.founder, devices.get(made.room.founder).ok_or("no founder")?.connect(host)?)))
            .collect::<Result<_, String>>()?;
        let rooms = for_each(made, |made| {
            let connection = connections.get(&made.room.founder);
            async move { announce(made, connection.ok_or("no founder")?).await }
        });
        let rooms = rooms.await?;
        Ok(Self { rooms, devices })
    }
}

/// A room of this name for these devices; the first founds it.
pub(super) async fn found(name: &str, devices: &[Device], host: &Host) -> Result<Room, String> {
    let (founder, others) = devices.split_first().ok_or("a room needs a founder")?;
    let made = make(name, (0, founder), &others.iter().collect::<Vec<_>>())?;
    announce(made, &founder.connect(host)?).await
}

/// Makes a group and takes the others in.
fn make(name: &str, (index, founder): (usize, &Device), others: &[&Device]) -> Result<Made, String> {
    let uri: RoomUri = format!("mimi://{HOST}/r/{name}").parse().map_err(told("a name"))?;
    let (inputs, rng, signer) = (Inputs::at(now()), &mut rng(), founder.signer.as_ref());
    let group_id = GroupId::from(uri.to_string().as_bytes());
    let who = Founder { bundle: founder.bundle()?, group_id, extensions: Extensions::new() };
    // So that the length of a message can be chosen to the byte.
    let config = Config { padding: Padding::None, ..Config::default() };
    let made = Group::create(suite()?, who, Arc::new(config), &inputs, rng);
    let (mut group, _) = made.map_err(told("a group"))?;
    let info = group.group_info(FOR_SERVER, signer, rng).map_err(told("a group"))?;
    let founding = RoomBundle::new(info, Some(group.ratchet_tree().map_err(told("a group"))?));
    let mut commit = group.commit().group_info(FOR_SERVER);
    for other in others {
        commit = commit.add(other.key_package.clone());
    }
    let (pending, _) = commit.build(signer, &inputs, rng).map_err(told("a commit"))?;
    let addition = bundle(&pending)?;
    let welcome = welcome(&pending)?;
    apply(&mut group, pending)?;
    Ok(Made { room: Room { uri, founder: index, group, welcome }, founding, addition })
}

async fn announce(made: Made, connection: &Connection) -> Result<Room, String> {
    let Made { room, founding, addition } = made;
    connection.create_room(&room.uri, &founding).await.map_err(told("a room"))?;
    let key = room.uri.name().to_string().parse().map_err(told("a key"))?;
    connection.commit(&room.uri, &addition, &key).await.map_err(told("the members of a room"))?;
    Ok(room)
}

/// The group of a member that comes in by the room's Welcome.
pub(super) fn join(room: &Room, device: &Device) -> Result<Group, String> {
    let bundles = [device.bundle()?];
    let options = JoinOptions::new(&bundles);
    let joining = Group::join(suite()?, &room.welcome, &options, Arc::default(), &Inputs::at(now()), &mut rng());
    let joining = joining.map_err(told("a Welcome"))?;
    let verdict = joining.questions().accept_unseen();
    joining.accept(&verdict).map(|(group, _)| group).map_err(told("a Welcome"))
}

/// A commit that brings its committer new keys and nothing else.
pub(super) fn commit(group: &mut Group, device: &Device) -> Result<(PendingCommit, Vec<u8>), String> {
    let commit = group.commit().group_info(FOR_SERVER);
    let (pending, _) =
        commit.build(device.signer.as_ref(), &Inputs::at(now()), &mut rng()).map_err(told("a commit"))?;
    let bytes = bundle(&pending)?.to_bytes();
    Ok((pending, bytes))
}

/// Goes on with an own commit.
pub(super) fn apply(group: &mut Group, pending: PendingCommit) -> Result<(), String> {
    let verdict = pending.questions().accept_unseen();
    group.apply(pending.into_staged(), &verdict).map(|_| ()).map_err(told("an own commit"))
}

/// Goes on with the commit of another.
pub(super) fn follow(group: &mut Group, message: &[u8]) -> Result<(), String> {
    let processed = group.process(message, &Inputs::at(now())).map_err(told("a commit of another"))?;
    let Received::Commit(staged) = processed.received else { return Err("this is no commit of another".into()) };
    let verdict = staged.questions().accept_unseen();
    group.apply(staged, &verdict).map(|_| ()).map_err(told("a commit of another"))
}

/// Application messages of exactly so many bytes.
pub(super) fn messages(group: &mut Group, device: &Device, count: usize, size: usize) -> Result<Vec<Vec<u8>>, String> {
    let rng = &mut rng();
    let mut encrypt = |length: usize| {
        let sent = group.encrypt(&vec![b'm'; length], b"", device.signer.as_ref(), rng);
        sent.map(|sent| sent.message).map_err(told("a message"))
    };
    let overhead = encrypt(size)?.len() - size;
    let length = size.checked_sub(overhead).ok_or("a message is longer than that")?;
    let messages = (0..count).map(|_| encrypt(length)).collect::<Result<Vec<_>, _>>()?;
    if messages.iter().any(|message| message.len() != size) {
        return Err("a message has another length than it should".into());
    }
    Ok(messages)
}

fn bundle(pending: &PendingCommit) -> Result<CommitBundle, String> {
    let verdict = pending.questions().accept_unseen();
    let delivery = pending.for_atomic_delivery(&verdict).map_err(told("a commit"))?;
    let group_info = delivery.admission.group_info.clone().ok_or("a commit without a GroupInfo")?;
    Ok(CommitBundle::new(delivery.message.to_vec(), group_info))
}

fn welcome(pending: &PendingCommit) -> Result<Vec<u8>, String> {
    let verdict = pending.questions().accept_unseen();
    let delivery = pending.for_atomic_delivery(&verdict).map_err(told("a commit"))?;
    Ok(delivery.admission.welcome.clone().unwrap_or_default())
}

//! The shards of a hub, and the mail between them, which is lost, doubled, late and out of order.
//!
//! Each shard has a store and a process of its own, which crash alone. The fields of the world are those of one shard at a
//! time; `focus` exchanges them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::coverage::CoverageMark;
use super::process::{Asked, Process};
use super::random::Random;
use super::replaced::Replaced;
use super::store::Host;
use super::world::World;
use crate::engine::CoreStep;
use crate::engine::message::{Input, Message, Response};
use crate::error::Result;
use crate::id::{InstanceId, MessageId, PartitionId, Shard, ShardId};
use crate::model::{self, MailMark, MailRecord};
use crate::runtime::mail::{Courier, Letter};
use crate::runtime::{CapacityWaiter, Envelope};
use crate::schema::{self, Table};
#[cfg(feature = "cluster")]
use crate::store::LogBug;
use crate::store::{Batch, Change, Model, Reader, Visitor};

/// A bug that is planted to show that the simulation finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlantedBug {
    /// How far messages were taken in is not stored with them.
    ForgetTaken,
    /// A message to another shard has no row.
    ForgetMail,
    /// Messages leave before they are durable.
    SendEarly,
    /// A message is deleted when it is sent.
    DeleteSent,
    /// How far messages were sent is not stored.
    ForgetSent,
    /// What the other shard has is not deleted.
    NeverDelete,
    /// The store of a process confirms that the process was not replaced, without looking.
    ConfirmUnseen,
    /// A process answers reads without asking whether it was replaced.
    AnswerUnconfirmed,
    /// A bug in the database that has the shared log of a shard.
    #[cfg(feature = "cluster")]
    Log(LogBug),
}

impl PlantedBug {
    pub(super) const ALL: [Self; 8] = [
        Self::ForgetTaken,
        Self::ForgetMail,
        Self::SendEarly,
        Self::DeleteSent,
        Self::ForgetSent,
        Self::NeverDelete,
        Self::ConfirmUnseen,
        Self::AnswerUnconfirmed,
    ];

    /// Returns whether only a hub on several nodes can have this bug.
    pub(super) fn is_of_nodes(self) -> bool {
        match self {
            #[cfg(feature = "cluster")]
            Self::Log(_) => true,
            _ => false,
        }
    }
}

/// The shards of a hub, but for the fields of the one that the world has at the moment.
pub(super) struct Shards {
    /// The shard whose fields the world has.
    pub(super) here: Shard,
    elsewhere: BTreeMap<u16, Elsewhere>,
    couriers: BTreeMap<(ShardId, ShardId), Courier>,
    /// The number of the newest message that may be sent, by sender and receiver.
    posted: BTreeMap<(ShardId, ShardId), u64>,
    in_flight: Vec<Parcel>,
    pub(super) replaced: Vec<Replaced>,
    /// Decides everything that only a hub of several shards requires.
    pub(super) random: Random,
    pub(super) planted: Option<PlantedBug>,
    /// True if processes are replaced.
    pub(super) replaces: bool,
}

/// The fields of a shard that the world does not have at the moment.
pub(super) struct Elsewhere {
    pub(super) model: Arc<Model>,
    pub(super) host: Option<Host>,
    pub(super) process: Process,
}

/// Something on its way from one shard to another.
#[derive(Clone, Debug)]
enum Parcel {
    Letter {
        from: ShardId,
        to: ShardId,
        letter: Letter,
    },
    /// The answer to a letter: the shard `to` has the messages of `from` up to this number.
    Taken {
        from: ShardId,
        to: ShardId,
        upto: u64,
    },
}

impl Parcel {
    /// Returns the shard to which it is on its way.
    fn receiver(&self) -> ShardId {
        match self {
            Self::Letter { to, .. } => *to,
            Self::Taken { from, .. } => *from,
        }
    }

    fn envelope(self) -> Envelope<Asked> {
        match self {
            Self::Letter { from, letter, .. } => Envelope::Mail {
                from,
                first: letter.first,
                messages: letter.messages,
                reply: Asked::Mail(from),
            },
            Self::Taken { to, upto, .. } => Envelope::Input(Box::new(Input::MailTaken { to, upto })),
        }
    }
}

impl Shards {
    /// Returns the shards of a new hub. The world has the first one.
    pub(super) fn new(
        count: u16,
        elsewhere: Vec<Elsewhere>,
        random: Random,
        planted: Option<PlantedBug>,
        replaces: bool,
    ) -> Self {
        Self {
            here: Shard { id: ShardId(0), count },
            elsewhere: (1..).zip(elsewhere).collect(),
            couriers: BTreeMap::new(),
            posted: BTreeMap::new(),
            in_flight: Vec::new(),
            replaced: Vec::new(),
            random,
            planted,
            replaces,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.here.count).map(ShardId)
    }

    /// Draws the number of shards of a hub.
    pub(super) fn draw(random: &mut Random, partitions: u16) -> u16 {
        match random.chance(40) {
            true => random.between(2, 4).min(u64::from(partitions)) as u16,
            false => 1,
        }
    }

    fn is_divided(&self) -> bool {
        self.here.count > 1
    }

    fn plants(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }
}

impl World {
    /// Makes the fields of the world those of a shard.
    pub(super) fn focus(&mut self, shard: ShardId) {
        if shard == self.shards.here.id {
            return;
        }
        let mut other = self.shards.elsewhere.remove(&shard.0).expect("the shard exists");
        std::mem::swap(&mut self.model, &mut other.model);
        std::mem::swap(&mut self.host, &mut other.host);
        std::mem::swap(&mut self.process, &mut other.process);
        self.shards.elsewhere.insert(self.shards.here.id.0, other);
        self.shards.here.id = shard;
    }

    /// Makes the fields of the world those of the shard that has an instance.
    pub(super) fn focus_on(&mut self, instance: &InstanceId) {
        let partition = instance.partition(self.profile.partitions);
        self.focus(self.shards.here.of(partition));
    }

    /// Makes the fields of the world those of a shard at random.
    pub(super) fn focus_somewhere(&mut self) {
        if self.shards.is_divided() {
            let count = u64::from(self.shards.here.count);
            let shard = self.shards.random.below(count) as u16;
            self.focus(ShardId(shard));
        }
    }

    /// Returns the processes of all shards.
    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        let elsewhere = self.shards.elsewhere.values().map(|other| &other.process);
        std::iter::once(&self.process).chain(elsewhere)
    }

    /// Returns the process of the shard that has an instance.
    pub(super) fn process_of(&self, instance: &str) -> &Process {
        let partition = InstanceId::trusted(instance).partition(self.profile.partitions);
        let shard = self.shards.here.of(partition);
        self.shards
            .elsewhere
            .get(&shard.0)
            .map_or(&self.process, |other| &other.process)
    }

    pub(super) fn any_has_failed(&self) -> bool {
        self.processes().any(|process| process.failed)
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        let elsewhere = self.shards.elsewhere.values().map(|other| &other.host);
        std::iter::once(&self.host).chain(elsewhere).flatten()
    }

    /// Returns the expected content of the store with this partition.
    pub(super) fn model_of(&self, partition: PartitionId) -> &Arc<Model> {
        let shard = self.shards.here.of(partition);
        match self.shards.elsewhere.get(&shard.0) {
            Some(other) => &other.model,
            None => &self.model,
        }
    }

    /// Returns the expected content of all stores. A message between two shards is shown as one that waits for its target.
    pub(super) fn whole(&self) -> Arc<dyn Reader> {
        if !self.shards.is_divided() {
            return Arc::clone(&self.model) as Arc<dyn Reader>;
        }
        let mut rows = BTreeMap::new();
        for shard in self.shards.all() {
            for (key, value) in self.model_of(shard.partition()).rows() {
                match schema::partition_and_table(&key) {
                    Some((to, Table::Mail)) => {
                        let number = schema::mail::number_of(&key).expect("a message has a number");
                        if number > self.taken(shard, to) {
                            let (key, value) = self.as_waiting(shard, number, &value);
                            rows.insert(key, value);
                        }
                    }
                    Some((_, Table::MailSent | Table::MailTaken)) => {}
                    _ if key == schema::COMMIT && shard != self.shards.here.id => {}
                    _ => drop(rows.insert(key, value)),
                }
            }
        }
        Arc::new(Whole(rows))
    }

    /// Returns the number of the newest message of a shard that the shard with this partition has.
    pub(super) fn taken(&self, from: ShardId, to: PartitionId) -> u64 {
        let row = self.model_of(to).get(&schema::mail::taken(from));
        let row = row.expect("the model's reads do not fail");
        row.map_or(0, |row| {
            model::decode::<MailMark>(&row, "mark").expect("valid mark").number
        })
    }

    fn as_waiting(&self, from: ShardId, number: u64, row: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let MailRecord { target, message, .. } = model::decode(row, "mail").expect("valid message");
        let partition = target.partition(self.profile.partitions);
        // Behind all messages that have a row.
        let id = MessageId {
            batch: u64::MAX - u64::from(u16::MAX - from.0),
            index: number as u32,
        };
        let message = Message::from_record(id, target, message);
        message.row(partition).expect("a message becomes a row")
    }

    /// Returns the lasting rows of all shards.
    pub(super) fn rows_of_all_shards(&self) -> BTreeMap<(ShardId, Vec<u8>), Vec<u8>> {
        let rows_of = |shard: ShardId| {
            let rows = self.model_of(shard.partition()).rows().into_iter();
            rows.map(move |(key, value)| ((shard, key), value))
        };
        self.shards.all().flat_map(rows_of).collect()
    }

    /// A shard begins anew. What its earlier process has sent is still on its way.
    pub(super) fn reopen_mail(&mut self) {
        let from = self.shards.here.id;
        for to in self.shards.here.others() {
            let sent = self.model.get(&schema::mail::sent(to));
            let sent = sent.expect("the model's reads do not fail");
            let sent: MailMark = sent.map_or_else(MailMark::default, |row| {
                model::decode(&row, "mark").expect("valid mark")
            });
            let range = schema::mail::from(to, 0);
            let waits = !self
                .model
                .keys(range, 1)
                .expect("the model's reads do not fail")
                .is_empty();
            self.see(CoverageMark::MailInACrash, waits);
            self.shards.posted.insert((from, to), sent.number);
            self.shards.couriers.insert((from, to), Courier::new(to));
        }
    }

    /// Messages to another shard may be sent.
    pub(super) fn post(&mut self, to: ShardId, newest: u64) {
        self.shards.posted.insert((self.shards.here.id, to), newest);
    }

    /// Another shard receives the answer to its letter.
    pub(super) fn answer_letter(&mut self, from: ShardId, response: &Response<CapacityWaiter>) {
        let Response::Answer(upto) = response else {
            panic!("a letter is answered with {response:?}");
        };
        let upto = serde_json::from_slice(upto).expect("a number");
        let to = self.shards.here.id;
        self.shards.in_flight.push(Parcel::Taken { from, to, upto });
    }

    /// Sometimes something happens to the mail. Returns whether it did.
    pub(super) fn tick_mail(&mut self) -> bool {
        if !self.shards.is_divided() || !self.shards.random.chance(25) {
            return false;
        }
        let count = usize::from(self.shards.here.count);
        let from = ShardId(self.shards.random.index(count) as u16);
        let to = ShardId(self.shards.random.index(count) as u16);
        if !self.shards.in_flight.is_empty() && self.shards.random.chance(4) {
            // It may lose the commit of what is already on its way.
            self.focus(from);
            self.crash();
            return true;
        }
        match self.shards.random.below(3) {
            0 if from != to => self.send_mail(from, to),
            _ if self.shards.in_flight.is_empty() => {}
            _ => {
                let at = self.shards.random.index(self.shards.in_flight.len());
                let parcel = match self.shards.random.below(10) {
                    0 => {
                        self.see(CoverageMark::MailLost, true);
                        self.shards.in_flight.swap_remove(at);
                        return true;
                    }
                    1 | 2 => {
                        self.see(CoverageMark::MailDoubled, true);
                        self.shards.in_flight[at].clone()
                    }
                    _ => {
                        self.see(CoverageMark::MailOutOfOrder, at > 0);
                        self.shards.in_flight.swap_remove(at)
                    }
                };
                self.deliver(parcel);
            }
        }
        true
    }

    /// Delivers everything that can be delivered, in order. Returns whether there was anything.
    pub(super) fn deliver_all_mail(&mut self) -> bool {
        for from in self.shards.all() {
            for to in self.shards.all().filter(|to| *to != from) {
                self.send_mail(from, to);
            }
        }
        let parcels = std::mem::take(&mut self.shards.in_flight);
        let any = !parcels.is_empty();
        for parcel in parcels {
            self.deliver(parcel);
        }
        any
    }

    /// A shard sends the next messages to another one, perhaps once more.
    fn send_mail(&mut self, from: ShardId, to: ShardId) {
        self.focus(from);
        if self.process.failed {
            return;
        }
        let newest = match self.shards.plants(PlantedBug::SendEarly) {
            true => u64::MAX - 1,
            false => self.shards.posted.get(&(from, to)).copied().unwrap_or_default(),
        };
        let courier = self
            .shards
            .couriers
            .entry((from, to))
            .or_insert_with(|| Courier::new(to));
        let letter = courier.next(newest, self.model.as_ref());
        let Some(letter) = letter.expect("the model's reads do not fail") else {
            return;
        };
        if self.shards.plants(PlantedBug::DeleteSent) {
            let upto = letter.first + letter.messages.len() as u64 - 1;
            self.shards.in_flight.push(Parcel::Taken { from, to, upto });
        }
        self.shards.in_flight.push(Parcel::Letter { from, to, letter });
    }

    fn deliver(&mut self, parcel: Parcel) {
        self.story.tell(|| format!("{} arrives: {parcel:?}", self.now.0));
        let receiver = parcel.receiver();
        self.focus(receiver);
        if let Parcel::Taken { from, to, upto } = parcel {
            if let Some(courier) = self.shards.couriers.get_mut(&(from, to)) {
                courier.answered(upto);
            }
            if self.shards.plants(PlantedBug::NeverDelete) {
                return;
            }
        }
        for replaced in &mut self.shards.replaced {
            if replaced.shard == receiver && self.shards.random.chance(50) {
                replaced.has_mail = true;
                self.story.tell(|| "a replaced process receives a copy".to_owned());
                replaced.process.cores[0].inbox.send(parcel.clone().envelope());
            }
        }
        self.process.cores[0].inbox.send(parcel.envelope());
    }

    /// Removes from a step what a planted bug forgets.
    pub(super) fn forget(&self, step: &mut CoreStep) {
        let forgotten = match self.shards.planted {
            Some(PlantedBug::ForgetTaken) => Table::MailTaken,
            Some(PlantedBug::ForgetMail) => Table::Mail,
            Some(PlantedBug::ForgetSent) => Table::MailSent,
            _ => return,
        };
        let mut kept = Batch::default();
        for change in step.batch.changes() {
            let (key, _) = change.parts();
            if schema::partition_and_table(key).is_some_and(|(_, table)| table == forgotten) {
                continue;
            }
            match change {
                Change::Put { key, value } => kept.put(key, value),
                Change::Insert { key, value } => kept.insert(key, value),
                Change::Delete { key } => kept.delete(key),
            }
        }
        step.batch = kept;
    }
}

/// The rows of all shards.
struct Whole(BTreeMap<Vec<u8>, Vec<u8>>);

impl Reader for Whole {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key).cloned())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        if range.start < range.end {
            for (key, value) in self.0.range(range) {
                if visitor(key, value).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }
}

//! Two shards of one hub. The test carries the messages between them.

use super::*;
use crate::engine::message::{ClientOrigin, Input};
use crate::engine::{Core, CoreConfig, Limits, Registry};
use crate::entity::entity_code;
use crate::id::{EntityId, InstanceId, PartitionId};
use crate::model::{Action, StateRecord};
use crate::prelude::*;
use crate::store::{Model, Store};
use crate::time::Timestamp;

const PARTITIONS: u16 = 2;

/// Remembers numbers.
#[derive(Clone, Debug, Entity, Default, Serialize, Deserialize)]
struct Diary {
    numbers: Vec<u64>,
}

#[operations]
impl Diary {
    pub fn add(&mut self, n: u64) {
        self.numbers.push(n);
    }

    /// Adds numbers to another diary.
    pub fn send(&mut self, ctx: &mut EntityContext, to: String, numbers: Vec<u64>) {
        for n in numbers {
            ctx.entity::<Diary>(&to).add(n).signal();
        }
    }
}

/// Returns the first diary of a shard.
fn diary_of(shard: u16) -> InstanceId {
    let ids = (0..).map(|key| InstanceId::trusted(format!("@diary@{key}")));
    let mut of_shard = ids.filter(|id| id.partition(PARTITIONS).0 == shard);
    of_shard.next().expect("a hub has diaries in every shard")
}

struct Side {
    shard: Shard,
    core: Core,
    model: Model,
    batch: u64,
}

impl Side {
    fn new(id: u16) -> Self {
        let shard = Shard {
            id: ShardId(id),
            count: PARTITIONS,
        };
        let model = Model::new();
        Self {
            core: open(shard, &model),
            shard,
            model,
            batch: 0,
        }
    }

    fn reopen(&mut self) {
        self.core = open(self.shard, &self.model);
    }

    /// Processes an input. Returns the answers and the numbers of the newest messages that may be sent.
    fn process(&mut self, input: Input) -> Result<Vec<u64>> {
        self.core.accept(input);
        let mut numbers = Vec::new();
        while self.core.has_work(Timestamp(1)) {
            self.batch += 1;
            let step = self.core.step(Timestamp(1), self.batch, &self.model, u64::MAX)?;
            self.model.write(&step.batch).unwrap();
            for output in step.outputs {
                match output {
                    Output::Settle {
                        settled: Response::Answer(number),
                        ..
                    } => numbers.push(serde_json::from_slice(&number).unwrap()),
                    Output::Effect(Effect::Mail { newest, .. }) => numbers.push(newest),
                    other => panic!("unexpected: {other:?}"),
                }
            }
        }
        Ok(numbers)
    }

    /// Lets the diary of this shard send numbers to that of another shard. Returns the number of the newest message.
    fn send(&mut self, to: u16, numbers: &[u64]) -> u64 {
        let arguments = serde_json::json!({ "to": EntityId::from_instance(diary_of(to)).key(), "numbers": numbers });
        let input = Input::Request {
            target: diary_of(self.shard.id.0),
            action: Action::Operation {
                operation: "send".into(),
                arguments: arguments.to_string().into_bytes(),
            },
            client: ClientOrigin::default(),
        };
        let [newest] = self.process(input).unwrap()[..] else {
            panic!("the messages of one step are sent together");
        };
        newest
    }

    /// Returns the stored messages to a shard, with their numbers.
    fn mail(&self, to: u16) -> Vec<(u64, MailRecord)> {
        let rows = Reader::scan(&self.model, schema::mail::from(ShardId(to), 0), usize::MAX).unwrap();
        let record = |(key, row): &(Vec<u8>, Vec<u8>)| {
            let number = schema::mail::number_of(key).unwrap();
            (number, model::decode(row, "mail").unwrap())
        };
        rows.iter().map(record).collect()
    }

    /// Takes in messages of another shard. Returns the answer.
    fn take(&mut self, from: u16, mail: &[(u64, MailRecord)]) -> u64 {
        let input = Input::Mail {
            from: ShardId(from),
            first: mail[0].0,
            messages: mail.iter().map(|(_, record)| record.clone()).collect(),
            token: Token(1),
        };
        let [answer] = self.process(input).unwrap()[..] else {
            panic!("a letter is answered once");
        };
        answer
    }

    fn numbers(&self) -> Vec<u64> {
        let id = diary_of(self.shard.id.0);
        let row = self
            .model
            .get(&schema::state::key(id.partition(PARTITIONS), &id))
            .unwrap();
        row.map_or_else(Vec::new, |row| {
            let record: StateRecord<'_> = model::decode(&row, "state").unwrap();
            serde_json::from_slice::<Diary>(record.state).unwrap().numbers
        })
    }
}

fn open(shard: Shard, model: &Model) -> Core {
    let mut registry = Registry::default();
    registry.add_entity(entity_code::<Diary>()).unwrap();
    let config = CoreConfig {
        shard,
        owned: vec![PartitionId(shard.id.0)],
        ..CoreConfig::of_all(PARTITIONS, registry, &Limits::default())
    };
    Core::open(config, model).unwrap()
}

/// Messages are taken in once and in the order in which they were sent, although they arrive twice, with gaps, and after
/// either shard has opened again.
#[test]
fn messages_arrive_once_and_in_order() {
    let (mut sender, mut receiver) = (Side::new(0), Side::new(1));
    assert_eq!(sender.send(1, &[1, 2, 3]), 3);
    sender.reopen();
    assert_eq!(sender.send(1, &[4, 5]), 5);
    let mail = sender.mail(1);
    assert_eq!(receiver.take(0, &mail[2..]), 0);
    assert_eq!(receiver.take(0, &mail[..2]), 2);
    receiver.reopen();
    assert_eq!(receiver.take(0, &mail[..3]), 3);
    assert_eq!(receiver.take(0, &mail[4..]), 3);
    assert_eq!(receiver.take(0, &mail), 5);
    assert_eq!(receiver.take(0, &mail), 5);
    assert_eq!(receiver.numbers(), [1, 2, 3, 4, 5]);
}

/// A message is kept until the other shard has it, and its number is not used again.
#[test]
fn a_message_is_kept_until_the_other_shard_has_it() {
    let mut sender = Side::new(0);
    let taken = |upto| Input::MailTaken { to: ShardId(1), upto };
    sender.send(1, &[1, 2, 3]);
    assert_eq!(sender.mail(1).len(), 3);
    for (upto, left) in [(0, 3), (2, 1), (1, 1), (3, 0), (3, 0)] {
        sender.reopen();
        sender.process(taken(upto)).unwrap();
        assert_eq!(sender.mail(1).len(), left);
    }
    sender.reopen();
    assert_eq!(sender.send(1, &[4]), 4);
}

/// A shard that has received what was never sent shows that commits were lost.
#[test]
fn messages_that_were_never_sent_are_an_error() {
    let mut sender = Side::new(0);
    sender.send(1, &[1, 2]);
    let error = sender.process(Input::MailTaken {
        to: ShardId(1),
        upto: 3,
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    let text = error.to_string();
    for part in [
        "shard 1 has received message 3 of shard 0",
        "newest one is 2",
        "restore a backup",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

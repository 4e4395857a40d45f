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
            let step = self
                .core
                .step(Timestamp(1), self.batch, &self.model, u64::MAX, usize::MAX)?;
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
        let [answer] = self.process(letter(from, mail)).unwrap()[..] else {
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

fn letter(from: u16, mail: &[(u64, MailRecord)]) -> Input {
    Input::Mail {
        from: ShardId(from),
        first: mail[0].0,
        messages: mail.iter().map(|(_, record)| record.clone()).collect(),
        token: Token(1),
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

/// Messages are taken in once and in the order in which they were sent, although they arrive twice, and after either shard
/// has opened again.
#[test]
fn messages_arrive_once_and_in_order() {
    let (mut sender, mut receiver) = (Side::new(0), Side::new(1));
    assert_eq!(sender.send(1, &[1, 2, 3]), 3);
    sender.reopen();
    assert_eq!(sender.send(1, &[4, 5]), 5);
    let mail = sender.mail(1);
    assert_eq!(receiver.take(0, &mail[..2]), 2);
    receiver.reopen();
    assert_eq!(receiver.take(0, &mail[..3]), 3);
    assert_eq!(receiver.take(0, &mail[..1]), 3);
    assert_eq!(receiver.take(0, &mail), 5);
    assert_eq!(receiver.take(0, &mail), 5);
    assert_eq!(receiver.numbers(), [1, 2, 3, 4, 5]);
}

/// A message is kept until the other shard has it, and its number is not used again.
#[test]
fn a_message_is_kept_until_the_other_shard_has_it() {
    let mut sender = Side::new(0);
    let taken = |upto| Input::MailTaken { to: ShardId(1), upto };
    let numbers = |sender: &Side| sender.mail(1).iter().map(|(number, _)| *number).collect::<Vec<_>>();
    sender.send(1, &[1, 2, 3]);
    sender.process(taken(2)).unwrap();
    assert_eq!(
        numbers(&sender),
        [1, 2, 3],
        "a few messages have no commit of their own"
    );
    sender.reopen();
    assert_eq!(sender.send(1, &[4]), 4);
    assert_eq!(numbers(&sender), [1, 2, 3, 4], "the answer was forgotten");
    for (upto, kept) in [(2, &[3, 4, 5][..]), (1, &[3, 4, 5, 6]), (6, &[7])] {
        sender.process(taken(upto)).unwrap();
        let next = sender.send(1, &[0]);
        assert_eq!(next, kept[kept.len() - 1]);
        assert_eq!(numbers(&sender), kept);
    }
    assert_eq!(sender.send(1, &[0; 100]), 107);
    sender.process(taken(107)).unwrap();
    assert!(sender.mail(1).is_empty(), "many messages have one");
    assert_eq!(sender.send(1, &[0]), 108);
}

/// If one of two shards loses commits that it has acknowledged, the next message or answer shows it, and nothing is passed
/// over silently.
#[test]
fn lost_commits_are_noticed() {
    let assert_lost = |ended: Result<Vec<u64>>, parts: [&str; 2]| {
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        let text = error.to_string();
        for part in parts.into_iter().chain(["lost commits; restore a backup"]) {
            assert!(text.contains(part), "{text}");
        }
    };
    // The receiver has lost what it has answered, so the sender has deleted it.
    let (mut sender, mut receiver) = (Side::new(0), Side::new(1));
    sender.send(1, &[1, 2, 3]);
    assert_eq!(receiver.take(0, &sender.mail(1)), 3);
    let taken = |upto| Input::MailTaken { to: ShardId(1), upto };
    sender.process(taken(3)).unwrap();
    sender.send(1, &[4]);
    let mut restored = Side::new(1);
    let ended = restored.process(letter(0, &sender.mail(1)));
    assert_lost(ended, ["sends message 4 to shard 1", "has received 0 messages"]);

    // The sender has lost what the receiver has, and sends something else. It learns of it by the answer, or the receiver by
    // the next letter: if the numbers are those of messages that it has, or follow them.
    let mut restored = Side::new(0);
    restored.send(1, &[10, 11]);
    assert_lost(
        restored.process(taken(3)),
        ["sends message 2 to shard 1", "has received 3"],
    );
    for more in [1, 2] {
        let mut restored = Side::new(0);
        restored.send(1, &vec![10; 2 + more]);
        let ended = receiver.process(letter(0, &restored.mail(1)));
        assert_lost(ended, ["sends message 3 to shard 1", "has received 3"]);
        receiver.reopen();
    }
    restored.reopen();
    restored.send(1, &[12, 13]);
    let ended = receiver.process(letter(0, &restored.mail(1)[3..]));
    assert_lost(ended, ["sends message 4 to shard 1", "has received 3"]);
}

/// A request for an instance of another shard is refused. Sent on, it would never be answered.
#[test]
fn a_request_for_another_shard_is_refused() {
    let mut side = Side::new(0);
    side.core.accept(Input::Request {
        target: diary_of(1),
        action: Action::Operation {
            operation: "add".into(),
            arguments: br#"{"n":1}"#.to_vec(),
        },
        client: ClientOrigin {
            token: Some(Token(7)),
            call: true,
            ..ClientOrigin::default()
        },
    });
    let step = side
        .core
        .step(Timestamp(1), 1, &side.model, u64::MAX, usize::MAX)
        .unwrap();
    assert!(step.batch.is_empty());
    let [
        Output::Settle {
            token: Token(7),
            settled,
        },
    ] = &step.outputs[..]
    else {
        panic!("{:?}", step.outputs);
    };
    let text = format!("{settled:?}");
    assert!(
        text.contains("Unavailable") && text.contains("has reached shard 0 of the hub"),
        "{text}"
    );
}

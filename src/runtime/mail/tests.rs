use super::*;
use crate::id::InstanceId;
use crate::model::{Action, MessageRecord};
use crate::store::{Batch, Model, Store};

const TO: ShardId = ShardId(1);

/// Stores messages of some bytes each, with the numbers from 1 on.
fn store_with(sizes: &[usize]) -> Model {
    let model = Model::new();
    let mut batch = Batch::default();
    for (number, bytes) in (1..).zip(sizes) {
        let record = MailRecord {
            target: InstanceId::trusted("@a@k"),
            message: MessageRecord {
                source: None,
                step: None,
                action: Action::Operation {
                    operation: "add".into(),
                    arguments: vec![b'x'; *bytes],
                },
                call: false,
                request: None,
                trace: None,
            },
            before: 0,
        };
        batch.put(&schema::mail::key(TO, number), &model::encode(&record).unwrap());
    }
    model.write(&batch).unwrap();
    model
}

/// A courier sends everything that may be sent, in letters of a bounded size, and each letter until it is answered.
#[test]
fn letters_are_bounded_and_repeated_until_they_are_answered() {
    let model = store_with(&[&[10; 300][..], &[200_000; 3], &[10]].concat());
    let mut courier = Courier::new(TO);
    let mut first = 1;
    while let Some(letter) = courier.next(303, &model).unwrap() {
        assert_eq!(courier.next(303, &model).unwrap().as_ref(), Some(&letter));
        assert_eq!(letter.first, first);
        let bytes: usize = letter.messages.iter().map(bytes_of).sum();
        assert!(
            letter.messages.len() <= 128 && bytes <= 256 * 1024 + 200_000,
            "{bytes} bytes"
        );
        first += letter.messages.len() as u64;
        courier.answered(first - 1);
    }
    assert_eq!(first, 304, "the last message is not durable yet");
}

fn bytes_of(record: &MailRecord) -> usize {
    match &record.message.action {
        Action::Operation { arguments, .. } => arguments.len(),
        _ => 0,
    }
}

/// After an open, the messages of the earlier life may be sent, and an older number takes nothing back.
#[tokio::test]
async fn the_messages_of_an_earlier_life_are_sent() {
    let model = store_with(&[1, 1]);
    let mut batch = Batch::default();
    batch.put(
        &schema::mail::sent(TO),
        &model::encode(&MailMark { number: 2, chain: 0 }).unwrap(),
    );
    model.write(&batch).unwrap();
    let shard = Shard {
        id: ShardId(0),
        count: 3,
    };
    let mail = Mail::new(shard);
    let mut newest = mail.subscribe(TO);
    mail.look(shard, &model).unwrap();
    assert_eq!(*newest.borrow_and_update(), 2);
    mail.post(TO, 1);
    assert!(!newest.has_changed().unwrap());
    mail.post(TO, 3);
    newest.changed().await.unwrap();
    assert_eq!((*newest.borrow(), *mail.subscribe(ShardId(2)).borrow()), (3, 0));
}

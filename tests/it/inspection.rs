//! The directory of a stopped hub: a read-only client, and checks that need no types.

use std::fs;
use std::path::Path;

use abide::prelude::*;
use abide::{EntityId, ErrorKind, OrchestrationContext, OrchestrationStatus, orchestration};

use crate::fixtures::{Counter, contents};
use crate::lost_signals::Sender;

/// Locks a counter, sets the custom status `waiting`, and returns the payload of the event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext, key: String) -> Result<u32, Failure> {
    let counter = ctx.entity::<Counter>(&key);
    let lock = ctx.lock_entities(&counter).await?;
    ctx.set_custom_status("waiting");
    let event = ctx.wait_for_external_event::<u32>("go").await?;
    drop(lock);
    Ok(event)
}

fn builder(directory: &Path) -> abide::HubBuilder {
    Hub::builder(directory)
        .partitions(4)
        .entity::<Counter>()
        .entity::<Sender>()
        .orchestration::<waits>()
}

/// Creates a hub that contains every kind of record, and closes it.
async fn fill(directory: &Path) {
    let hub = builder(directory).open().await.unwrap();
    let client = hub.client();
    for n in 0..20 {
        client.entity::<Counter>(n.to_string()).add(n).await.unwrap();
    }
    client.entity::<Sender>("s").send(vec![1; 5]).await.unwrap();
    for n in 0..6 {
        client
            .start::<waits>(n.to_string())
            .instance_id(format!("w-{n}"))
            .await
            .unwrap();
    }
    let done = client.start::<waits>("done".into()).instance_id("done").await.unwrap();
    done.raise_event("go", 7).await.unwrap();
    assert_eq!(done.result().await.unwrap(), 7);
    while client.admin().locks().await.unwrap().len() < 6 || client.admin().dead_letters().await.unwrap().len() < 5 {
        tokio::task::yield_now().await;
    }
    hub.shutdown().await.unwrap();
}

/// A client of a directory can list, count and show everything like a client of the running hub, and changes no byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_read_like_a_hub_and_not_changed() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path()).await;
    let before = contents(place.path());
    let client = Hub::inspect(place.path()).client().await.unwrap();
    client.health().unwrap();
    assert!(client.admin().stats().unwrap().durable > 0);
    assert_eq!(
        client.admin().registered().unwrap(),
        abide::admin::Registered::default()
    );

    let page = client.entities().name("counter").page_size(7).page().await.unwrap();
    assert_eq!(page.items.len(), 7);
    assert_eq!(client.entities().name("counter").count().await.unwrap(), 20);
    let entity = client.untyped_entity(&EntityId::new("counter", "3").unwrap());
    assert_eq!(entity.state().await.unwrap().as_deref(), Some("{\"n\":3}"));
    let typed = client.entity::<Counter>("4").state().await.unwrap().unwrap();
    assert_eq!(typed.n, 4);

    let running = client.orchestrations().status(OrchestrationStatus::Running);
    assert_eq!(running.page().await.unwrap().items.len(), 6);
    assert_eq!(client.orchestrations().stopped().count().await.unwrap(), 0);
    let counts = client.orchestrations().counts().await.unwrap();
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 7);
    let done = client.untyped_orchestration("done").status().await.unwrap().unwrap();
    assert_eq!(done.output.as_deref(), Some("7"));
    assert_eq!(done.input.as_deref(), Some("\"done\""));
    assert!(client.untyped_orchestration("done").history().await.unwrap().len() > 4);
    assert!(
        client
            .untyped_orchestration("missing")
            .status()
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(client.admin().locks().await.unwrap().len(), 6);
    assert_eq!(client.admin().dead_letters().await.unwrap().len(), 5);
    assert!(client.admin().quarantined().await.unwrap().is_empty());
    drop((client, entity));
    assert!(contents(place.path()) == before, "a file was changed");
    // The directory is unlocked again.
    builder(place.path()).open().await.unwrap().shutdown().await.unwrap();
}

/// Requests that would change something or wait for something fail with an error that names the way out.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_cannot_be_changed() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path()).await;
    let client = Hub::inspect(place.path()).client().await.unwrap();
    let counter = EntityId::new("counter", "3").unwrap();
    let letter = client.admin().dead_letters().await.unwrap().remove(0).id;
    let run = client.untyped_orchestration("w-1");
    let waiting: Error = run.result().await.unwrap_err().into();
    let typed: Error = client.entity::<Counter>("3").add(1).await.unwrap_err().into();
    let untyped: Error = client
        .untyped_entity(&counter)
        .call("add", "1")
        .await
        .unwrap_err()
        .into();
    let refused = [
        waiting,
        typed,
        untyped,
        client.untyped_entity(&counter).signal("add", "1").await.unwrap_err(),
        client.entity::<Counter>("3").add(1).signal().await.unwrap_err(),
        client
            .entity::<Counter>("3")
            .add(1)
            .signal_after(std::time::Duration::from_secs(1))
            .await
            .unwrap_err(),
        client.start::<waits>("1".into()).await.unwrap_err(),
        client.start_by_name_with_json("waits", "").await.unwrap_err(),
        run.raise_event("go", 1).await.unwrap_err(),
        run.raise_event_with_json("go", "1").await.unwrap_err(),
        run.terminate("").await.unwrap_err(),
        run.suspend("").await.unwrap_err(),
        run.resume("").await.unwrap_err(),
        run.rewind("").await.unwrap_err(),
        run.restart().await.unwrap_err(),
        run.restart_as_new().await.unwrap_err(),
        run.purge().await.unwrap_err(),
        client.orchestrations().purge().await.unwrap_err(),
        client.admin().release_lock(&counter).await.unwrap_err(),
        client.admin().release_quarantine(&counter).await.unwrap_err(),
        client.admin().redeliver(&letter).await.unwrap_err(),
        client.admin().drop_dead_letter(&letter).await.unwrap_err(),
    ];
    for (place, error) in refused.into_iter().enumerate() {
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{place}: {error}");
        assert!(error.to_string().contains("start the program"), "{error}");
    }
}

/// Pages of locks and of dead letters contain everything once, in a directory as in a hub.
#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_everything_once() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path()).await;
    let client = Hub::inspect(place.path()).client().await.unwrap();
    let (mut locks, mut after) = (Vec::new(), None);
    loop {
        let page = client.admin().locks().cursor(after).page_size(4).page().await.unwrap();
        assert!(page.items.len() <= 4);
        locks.extend(page.items.into_iter().map(|lock| lock.entity.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let all: Vec<_> = client
        .admin()
        .locks()
        .await
        .unwrap()
        .into_iter()
        .map(|lock| lock.entity.to_string())
        .collect();
    assert_eq!((locks.len(), locks), (6, all));

    let (mut letters, mut after) = (Vec::new(), None);
    loop {
        let page = client
            .admin()
            .dead_letters()
            .cursor(after)
            .page_size(2)
            .page()
            .await
            .unwrap();
        letters.extend(page.items.into_iter().map(|letter| letter.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let all: Vec<_> = client
        .admin()
        .dead_letters()
        .await
        .unwrap()
        .into_iter()
        .map(|letter| letter.id)
        .collect();
    assert_eq!((letters.len(), letters), (5, all));
    for broken in ["", "x", "1", "1-2"] {
        let error = client
            .admin()
            .dead_letters()
            .cursor(Some(broken.to_owned()))
            .page_size(1)
            .page()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidId);
    }
    assert_eq!(
        client
            .admin()
            .locks()
            .cursor(Some("x".to_owned()))
            .page_size(1)
            .page()
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidId
    );
    assert!(
        client
            .admin()
            .quarantined()
            .cursor(None)
            .page_size(1)
            .page()
            .await
            .unwrap()
            .next
            .is_none()
    );
}

/// A check reads every record of a hub without its types, counts them, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_directory_has_no_problems() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path()).await;
    let before = contents(place.path());
    let report = Hub::inspect(place.path()).check().await.unwrap();
    assert!(report.is_good(), "{report}");
    assert_eq!((report.partitions, report.incarnation, report.copy), (4, 1, false));
    let records = |table: &str| {
        let found = report.tables.iter().find(|checked| checked.table == table);
        found.map_or(0, |checked| checked.records)
    };
    assert_eq!(records("state"), 21);
    assert_eq!(records("orchestration"), 7);
    assert_eq!(records("lock"), 6);
    assert_eq!(records("dead letter"), 5);
    assert_eq!(records("end of an orchestration"), 1);
    assert_eq!(records("index by status"), 7);
    assert_eq!(
        report.records,
        report.tables.iter().map(|checked| checked.records).sum::<u64>()
    );
    assert!(contents(place.path()) == before, "a file was changed");
}

/// A damaged or missing file of the store is reported as a problem, wherever the damage is.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_reported_as_a_problem() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path()).await;
    let files = contents(place.path());
    let tables: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "sst"))
        .collect();
    assert!(!tables.is_empty());
    for (path, bytes) in tables {
        let half = bytes.len() / 2;
        let ends: [(&str, Vec<u8>); 4] = [
            ("overwritten at its beginning", [&[0xff; 64], &bytes[64..]].concat()),
            ("cut in half", bytes[..half].to_vec()),
            ("emptied", Vec::new()),
            (
                "overwritten at its end",
                [&bytes[..bytes.len() - 64], &[0xff; 64]].concat(),
            ),
        ];
        for (how, broken) in ends {
            fs::write(path, broken).unwrap();
            let report = Hub::inspect(place.path()).check().await.unwrap();
            assert!(!report.is_good(), "{} was {how}", path.display());
        }
        fs::remove_file(path).unwrap();
        let report = Hub::inspect(place.path()).check().await.unwrap();
        assert!(!report.is_good(), "{} was removed", path.display());
        fs::write(path, bytes).unwrap();
    }
    let report = Hub::inspect(place.path()).check().await.unwrap();
    assert!(report.is_good(), "{report}");
}

/// The summary of a directory identifies its hub, even while a process has it open.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_identifies_its_hub() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(
        Hub::inspect(place.path()).summary().unwrap_err().kind(),
        ErrorKind::Format
    );
    fill(place.path()).await;
    let closed = Hub::inspect(place.path()).summary().unwrap();
    assert_eq!((closed.partitions, closed.incarnation, closed.copy), (4, 1, false));
    assert!(closed.closed && closed.open_by.is_none() && closed.acknowledged.unwrap() > 0);
    let hub = builder(place.path()).open().await.unwrap();
    let open = Hub::inspect(place.path()).summary().unwrap();
    assert_eq!(open.hub, closed.hub);
    assert_eq!(open.open_by, Some(format!("process {}", std::process::id())));
    assert!(!open.closed);
    let copy = place.path().join("copy");
    hub.checkpoint(&copy).await.unwrap();
    assert!(Hub::inspect(&copy).summary().unwrap().copy);
    hub.shutdown().await.unwrap();
}

/// A missing or broken ACKNOWLEDGED and an edited or foreign FORMAT are reported as problems. A directory without a
/// hub, or with an open one, is an error.
#[tokio::test(flavor = "multi_thread")]
async fn broken_files_are_reported_as_problems() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path()).await;
    let check = || Hub::inspect(place.path()).check();
    let sidecar = place.path().join("ACKNOWLEDGED");
    let format = place.path().join("FORMAT");

    let kept = fs::read(&sidecar).unwrap();
    fs::remove_file(&sidecar).unwrap();
    let report = check().await.unwrap();
    assert_eq!(report.problem_count, 1, "{report}");
    assert!(
        report.problems[0].message.contains("ACKNOWLEDGED is missing"),
        "{report}"
    );
    assert!(report.records > 0, "the records are still checked");
    fs::write(&sidecar, b"nonsense").unwrap();
    let report = check().await.unwrap();
    assert!(
        report.problems[0].message.contains("ACKNOWLEDGED is broken"),
        "{report}"
    );
    assert!(report.records > 0);
    fs::write(&sidecar, kept).unwrap();

    let kept = fs::read_to_string(&format).unwrap();
    for broken in [
        "{}".to_owned(),
        "nonsense".to_owned(),
        kept.replace("\"partitions\": 4", "\"partitions\": 8"),
        kept.replace("abide hub", "another hub"),
    ] {
        assert_ne!(broken, kept);
        fs::write(&format, broken).unwrap();
        let report = check().await.unwrap();
        assert_eq!(report.problem_count, 1, "{report}");
        assert!(report.problems[0].message.contains("FORMAT"), "{report}");
    }
    fs::write(&format, &kept).unwrap();
    assert!(check().await.unwrap().is_good());

    let nothing = tempfile::tempdir().unwrap();
    let error = Hub::inspect(nothing.path()).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    let error = Hub::inspect(nothing.path().join("absent")).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(!nothing.path().join("absent").exists());

    let hub = builder(place.path()).open().await.unwrap();
    assert_eq!(check().await.unwrap_err().kind(), ErrorKind::Locked);
    let error = Hub::inspect(place.path()).client().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    hub.shutdown().await.unwrap();
}

//! Several versions of one orchestration in one hub: instances keep their version, `Strict` and `CurrentOrOlder`, and
//! continuing as new in another version.
//!
//! See docs/src/guarantees.md, "Versions".

use std::path::Path;

use abide::prelude::*;
use abide::{ErrorKind, HubBuilder, Orchestration, client::StopKind, hub::VersionPolicy};
use serde_json::json;

use crate::fixtures::{eventually, until_it_stops, until_it_waits};

#[activity]
async fn weigh(grams: u32) -> u32 {
    grams + 1
}

#[activity]
async fn weigh_twice(grams: u32) -> u32 {
    2 * grams
}

/// Version 1 weighs before the event and after it.
mod one {
    use abide::prelude::*;

    #[orchestration(name = "parcel", version = "1")]
    pub(super) async fn parcel(ctx: OrchestrationContext, grams: u32) -> Result<String, Failure> {
        let first = ctx.call_activity::<super::weigh>(grams).await?;
        ctx.set_custom_status("waiting");
        let go = ctx.wait_for_external_event::<String>("go").await?;
        if go == "move on" {
            // The next version takes another input.
            let next = ctx.continue_as_new(serde_json::json!({ "grams": first, "to": "Bonn" }));
            next.version("2").await
        }
        let second = ctx.call_activity::<super::weigh>(first).await?;
        Ok(format!("v{}: {second} g", ctx.version()))
    }
}

/// Version 2 takes another input and other steps.
mod two {
    use abide::prelude::*;

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Parcel {
        pub(super) grams: u32,
        pub(super) to: String,
    }

    #[orchestration(name = "parcel", version = "2")]
    pub(super) async fn parcel(ctx: OrchestrationContext, parcel: Parcel) -> Result<String, Failure> {
        ctx.set_custom_status("waiting");
        let go = ctx.wait_for_external_event::<String>("go").await?;
        let weight = ctx.call_activity::<super::weigh_twice>(parcel.grams).await?;
        Ok(format!("v{}: {weight} g to {} {go}", ctx.version(), parcel.to))
    }
}

/// Version 10 is newer than 2, although it sorts before 2 as text.
mod ten {
    use abide::prelude::*;

    #[orchestration(name = "parcel", version = "10")]
    pub(super) async fn parcel(ctx: OrchestrationContext, grams: u32) -> Result<String, Failure> {
        Ok(format!("v{}: {grams} g", ctx.version()))
    }
}

/// Calls parcels as sub-orchestrations, in the newest version and in version 1.
#[orchestration]
async fn post_office(ctx: OrchestrationContext, grams: u32) -> Result<(String, String), Failure> {
    let newest = ctx.call_sub_orchestration::<ten::parcel>(grams).await?;
    let old = ctx
        .call_sub_orchestration::<one::parcel>(grams)
        .version("1")
        .instance_id("old");
    ctx.send_event("old", "go", "now");
    Ok((old.await?, newest))
}

fn hub(directory: &Path) -> HubBuilder {
    Hub::builder(directory).activity::<weigh>().activity::<weigh_twice>()
}

/// An instance keeps its version over a restart of the hub, even if newer versions are registered. A start without a
/// version uses the newest one.
#[tokio::test]
async fn an_instance_keeps_its_version_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let before = hub(directory.path())
        .orchestration::<one::parcel>()
        .open()
        .await
        .unwrap();
    let old = before.client().start_by_name("parcel", json!(5)).instance_id("old");
    until_it_waits(&old.await.unwrap()).await;
    before.shutdown().await.unwrap();

    for _ in 0..2 {
        let builder = hub(directory.path()).orchestration::<one::parcel>();
        let builder = builder.orchestration::<two::parcel>().orchestration::<ten::parcel>();
        let hub = builder.open().await.unwrap();
        let client = hub.client();
        let version = async |id: &str| {
            client
                .untyped_orchestration(id)
                .status()
                .await
                .unwrap()
                .unwrap()
                .version
        };
        assert_eq!(version("old").await, "1");
        let input = two::Parcel {
            grams: 5,
            to: "Ulm".into(),
        };
        let new = client.start::<two::parcel>(input).instance_id("new");
        let new = new.reuse(abide::orchestration::ReusePolicy::Ignore).await.unwrap();
        until_it_waits(&new.untyped()).await;
        assert_eq!(version("new").await, "2");
        let newest = client.start_by_name("parcel", json!(5)).await.unwrap();
        assert_eq!(newest.result().await.unwrap(), json!("v10: 5 g"));
        hub.shutdown().await.unwrap();
    }

    let builder = hub(directory.path()).orchestration::<ten::parcel>();
    let builder = builder.orchestration::<two::parcel>().orchestration::<one::parcel>();
    let hub = builder.open().await.unwrap();
    let client = hub.client();
    for (id, ended) in [("old", "v1: 7 g"), ("new", "v2: 10 g to Ulm now")] {
        client.untyped_orchestration(id).raise_event("go", "now").await.unwrap();
        assert_eq!(client.untyped_orchestration(id).result().await.unwrap(), json!(ended));
    }
    hub.shutdown().await.unwrap();
}

/// Continuing as new can change the version and the input. The instance keeps its unread events.
#[tokio::test]
async fn a_continue_as_new_moves_to_a_new_version() {
    let directory = tempfile::tempdir().unwrap();
    let builder = hub(directory.path()).orchestration::<one::parcel>();
    let hub = builder.orchestration::<two::parcel>().open().await.unwrap();
    let run = hub.client().start::<one::parcel>(5).instance_id("run").await.unwrap();
    let first = run.status().await.unwrap().unwrap();
    run.raise_event("go", "move on").await.unwrap();
    run.raise_event("go", "by train").await.unwrap();
    assert_eq!(run.result().await.unwrap(), "v2: 12 g to Bonn by train");
    let second = run.status().await.unwrap().unwrap();
    assert_eq!((first.version.as_str(), second.version.as_str()), ("1", "2"));
    assert_ne!(first.execution_id, second.execution_id);
    assert_eq!(first.created, second.created);
    hub.shutdown().await.unwrap();
}

/// An instance that continues as new in an unregistered version stops, and resumes in a build that registers it.
#[tokio::test]
async fn a_move_to_a_missing_version_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let old = hub(directory.path())
        .orchestration::<one::parcel>()
        .open()
        .await
        .unwrap();
    let run = old.client().start::<one::parcel>(5).instance_id("run").await.unwrap();
    run.raise_event("go", "move on").await.unwrap();
    let stopped = until_it_stops(&run.clone().untyped()).await;
    assert_eq!(run.status().await.unwrap().unwrap().version, "2");
    assert_eq!(stopped.kind, StopKind::Unregistered);
    assert!(
        stopped.message.contains("`2`") && stopped.message.contains("only `1`"),
        "{}",
        stopped.message
    );
    run.raise_event("go", "by ship").await.unwrap();
    old.shutdown().await.unwrap();

    let builder = hub(directory.path()).orchestration::<one::parcel>();
    let new = builder.orchestration::<two::parcel>().open().await.unwrap();
    let run = new.client().untyped_orchestration("run");
    assert_eq!(run.result().await.unwrap(), json!("v2: 12 g to Bonn by ship"));
    new.shutdown().await.unwrap();
}

/// A sub-orchestration runs in the version that its parent names, or else in the newest.
#[tokio::test]
async fn a_child_has_the_version_that_its_parent_names() {
    let builder = Hub::in_memory().activity::<weigh>().orchestration::<post_office>();
    let builder = builder.orchestration::<one::parcel>().orchestration::<ten::parcel>();
    let hub = builder.open().await.unwrap();
    let run = hub.client().start::<post_office>(5).await.unwrap();
    assert_eq!(
        run.result().await.unwrap(),
        ("v1: 7 g".to_owned(), "v10: 5 g".to_owned())
    );
    hub.shutdown().await.unwrap();
}

/// A start in an unregistered version fails with an error that lists the registered ones. Nothing is stored.
#[tokio::test]
async fn a_start_in_an_unknown_version_is_refused() {
    let builder = Hub::in_memory().orchestration::<one::parcel>();
    let hub = builder.orchestration::<ten::parcel>().open().await.unwrap();
    let start = hub.client().start_by_name("parcel", json!(5)).instance_id("run");
    let error = start.version("3").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unregistered);
    let text = error.to_string();
    assert!(text.contains("`3`") && text.contains("`1`, `10`"), "{text}");
    assert!(
        hub.client()
            .untyped_orchestration("run")
            .status()
            .await
            .unwrap()
            .is_none()
    );
    hub.shutdown().await.unwrap();
}

/// With `CurrentOrOlder` the newest version runs older instances and never newer ones.
#[tokio::test]
async fn only_older_instances_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let builder = hub(directory.path()).orchestration::<one::parcel>();
    let both = builder.orchestration::<two::parcel>().open().await.unwrap();
    let input = two::Parcel {
        grams: 5,
        to: "Ulm".into(),
    };
    let new = both
        .client()
        .start::<two::parcel>(input)
        .instance_id("new")
        .await
        .unwrap();
    until_it_waits(&new.untyped()).await;
    both.shutdown().await.unwrap();

    let builder = hub(directory.path()).version_policy(VersionPolicy::CurrentOrOlder);
    let rolled_back = builder.orchestration::<one::parcel>().open().await.unwrap();
    let run = rolled_back.client().untyped_orchestration("new");
    run.raise_event("go", "now").await.unwrap();
    assert_eq!(until_it_stops(&run).await.kind, StopKind::Unregistered);
    rolled_back.shutdown().await.unwrap();

    let again = hub(directory.path())
        .orchestration::<two::parcel>()
        .open()
        .await
        .unwrap();
    let run = again.client().untyped_orchestration("new");
    assert_eq!(run.result().await.unwrap(), json!("v2: 10 g to Ulm now"));
    again.shutdown().await.unwrap();
}

/// Pairs of versions whose text order differs from their version order.
mod note {
    use abide::prelude::*;

    macro_rules! note {
        ($module:ident, $version:literal) => {
            pub(crate) mod $module {
                use super::*;

                #[orchestration(version = $version)]
                pub(crate) async fn note(ctx: OrchestrationContext) -> Result<String, Failure> {
                    let text = ctx.wait_for_external_event::<String>("text").await?;
                    Ok(format!("{} by {}", text, $version))
                }
            }
        };
    }
    note!(nine, "v9");
    note!(ten, "v10");
    note!(beta, "2.0.0-beta");
    note!(release, "2.0.0");
}

/// `CurrentOrOlder` treats `v10` as newer than `v9`, and a release as newer than its beta. For a newer instance, its
/// error does not recommend `CurrentOrOlder`.
#[tokio::test]
async fn versions_are_ordered_naturally() {
    async fn passes<Old: Orchestration<Input = ()>, New: Orchestration<Output = String, Error = Failure>>() -> String {
        let directory = tempfile::tempdir().unwrap();
        let old = hub(directory.path()).orchestration::<Old>().open().await.unwrap();
        old.client().start::<Old>(()).instance_id("note").await.unwrap();
        old.shutdown().await.unwrap();
        let builder = hub(directory.path()).version_policy(VersionPolicy::CurrentOrOlder);
        let new = builder.orchestration::<New>().open().await.unwrap();
        let run = new.client().orchestration::<New>("note");
        run.raise_event("text", "read").await.unwrap();
        let ended = async { run.result().await.unwrap() };
        // It may end before it is seen as stopped, so this is not `until_it_stops`.
        let stopped = eventually(async || run.status().await.unwrap().unwrap().stopped);
        let ended = tokio::select! {
            ended = ended => ended,
            stopped = stopped => stopped.message,
        };
        new.shutdown().await.unwrap();
        ended
    }
    assert_eq!(passes::<note::nine::note, note::ten::note>().await, "read by v10");
    assert_eq!(passes::<note::beta::note, note::release::note>().await, "read by 2.0.0");
    for refused in [
        passes::<note::ten::note, note::nine::note>().await,
        passes::<note::release::note, note::beta::note>().await,
    ] {
        assert!(refused.contains("is older; register it as well"), "{refused}");
        assert!(!refused.contains("CurrentOrOlder"), "{refused}");
    }
}

/// The error of a start in a version of an unversioned type is grammatical.
#[tokio::test]
async fn a_type_without_versions_is_named_so() {
    let hub = Hub::in_memory().orchestration::<post_office>().open().await.unwrap();
    let start = hub.client().start_by_name("post_office", json!(5)).version("3");
    let text = start.await.unwrap_err().to_string();
    assert!(text.ends_with("in version `3`; registered versions: (none)"), "{text}");
    hub.shutdown().await.unwrap();
}

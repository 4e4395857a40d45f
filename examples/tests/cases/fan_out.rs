//! Tests of the fan-out.

use abide::hub::HubBuilder;
use abide::testing::{RunningHub, TestHub};

use super::*;
use crate::golden;

fn builder() -> HubBuilder {
    Hub::in_memory().orchestration::<hash_tree>()
}

/// A hub whose tree has three files. The hash of a file is its size.
fn hub() -> TestHub {
    let files = ["a", "bb", "ccc"];
    TestHub::new(builder)
        .mock::<list_files>(move |directory| Ok(files.map(|file| directory.join(file)).to_vec()))
        .mock::<hash_file>(|path| {
            let bytes = path.as_os_str().len() as u64;
            Ok(Hashed {
                path,
                bytes,
                hash: bytes,
            })
        })
}

async fn hashed(hub: &RunningHub) -> OrchestrationHandle<hash_tree> {
    let start = hub.client().start::<hash_tree>("tree".into()).instance_id("tree");
    let run = start.await.unwrap();
    run.result().await.unwrap();
    run
}

/// Each file is hashed once, and the results are in the order of the files.
#[test]
fn each_file_is_hashed_once() {
    hub().run(async |hub| {
        let tree = hashed(hub).await.result().await.unwrap();
        let paths: Vec<_> = tree.files.iter().map(|file| file.path.clone()).collect();
        assert_eq!(paths, ["tree/a", "tree/bb", "tree/ccc"].map(PathBuf::from));
        assert_eq!(tree.bytes, 6 + 7 + 8);
        assert_eq!(hub.calls::<hash_file>().len(), 3);
    });
}

#[test]
fn an_earlier_history_still_fits() {
    golden::assert_fits("fan_out", builder());
}

#[test]
#[ignore = "records a new history"]
fn record_the_history() {
    let recorded = hub().run(async |hub| hashed(hub).await.recorded_history().await.unwrap());
    golden::record("fan_out", &recorded);
}

//! Starting orchestrations, and what follows.

use serde_json::json;

use crate::fixture::{Api, BASE, HOST};

/// A start answers with the links that lead on, and with when to follow them.
#[tokio::test]
async fn a_start_answers_with_links() {
    let api = Api::open().await;
    let started = api.post("/orchestrators/waits/order%201", "{}").await;
    started.is(202);
    let instance = format!("http://{HOST}{BASE}/instances/order%201");
    assert_eq!(started.header("location"), instance);
    assert_eq!(started.header("retry-after"), "10");
    assert_eq!(
        started.json(),
        json!({
            "id": "order 1",
            "statusQueryGetUri": instance,
            "sendEventPostUri": format!("{instance}/raiseEvent/{{eventName}}"),
            "terminatePostUri": format!("{instance}/terminate?reason={{text}}"),
            "rewindPostUri": format!("{instance}/rewind?reason={{text}}"),
            "purgeHistoryDeleteUri": instance,
            "restartPostUri": format!("{instance}/restart"),
            "suspendPostUri": format!("{instance}/suspend?reason={{text}}"),
            "resumePostUri": format!("{instance}/resume?reason={{text}}"),
        })
    );
}

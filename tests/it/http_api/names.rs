//! Names and IDs in requests: their case, omitted keys, and IDs that a URL path cannot contain.

use abide::http::{HttpConfig, router};
use abide::prelude::*;
use abide::{EntityId, ErrorKind, OrchestrationContext, orchestration};
use axum::http::Method;
use serde_json::json;

use super::fixture::{Answer, Api, BASE, send};

/// Two orchestrations and two operations whose names differ only in case, and one of each with a unique name.
mod alike {
    use super::*;

    #[orchestration(name = "ship")]
    pub(super) async fn small(_ctx: OrchestrationContext) -> String {
        "small".to_owned()
    }

    #[orchestration(name = "SHIP")]
    pub(super) async fn large(_ctx: OrchestrationContext) -> String {
        "large".to_owned()
    }

    #[orchestration(name = "Größe")]
    pub(super) async fn other(_ctx: OrchestrationContext) -> String {
        "other".to_owned()
    }

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(super) struct Shelf {
        books: u32,
    }

    #[operations]
    impl Shelf {
        pub fn put(&mut self) -> String {
            self.books += 1;
            "small".to_owned()
        }

        #[operation(name = "PUT")]
        pub fn put_many(&mut self) -> String {
            self.books += 10;
            "large".to_owned()
        }

        pub fn count(&self) -> u32 {
            self.books
        }
    }
}

/// As in Azure, names are case-insensitive. An exact match has priority over a match that differs in case, and an
/// ambiguous name is an error that lists the candidates.
#[tokio::test]
async fn names_are_compared_without_case() {
    let hub = Hub::in_memory()
        .entity::<alike::Shelf>()
        .orchestration::<alike::small>()
        .orchestration::<alike::large>()
        .orchestration::<alike::other>();
    let hub = hub.open().await.unwrap();
    let router = router(hub.client(), &HttpConfig::new().without_token()).unwrap();
    let post = async |path: &str| -> Answer { send(&router, Method::POST, &format!("{BASE}{path}"), &[], "").await };

    for (name, answer) in [
        ("ship", "small"),
        ("SHIP", "large"),
        ("GR%C3%96%C3%9FE", "other"),
        ("gr%C3%B6%C3%9Fe", "other"),
    ] {
        let ran = post(&format!("/orchestrators/{name}?timeout=30")).await;
        ran.is(200);
        assert_eq!(ran.json(), answer, "{name}");
    }
    let refused = post("/orchestrators/Ship").await;
    refused.is_error(400, "AmbiguousName");
    assert!(refused.text().contains("`SHIP`, `ship`"), "{refused:?}");
    post("/orchestrators/sloop").await.is_error(400, "Unregistered");

    for (operation, answer) in [("put", json!("small")), ("PUT", json!("large")), ("Count", json!(11))] {
        let called = post(&format!("/entities/SHELF/a?op={operation}&wait=true")).await;
        called.is(200);
        assert_eq!(called.json(), answer, "{operation}");
    }
    let refused = post("/entities/shelf/a?op=Put").await;
    refused.is_error(400, "AmbiguousName");
    assert!(
        refused.text().contains("`put`") && refused.text().contains("`PUT`"),
        "{refused:?}"
    );
    post("/entities/shelf/a?op=take")
        .await
        .is_error(400, "UnknownOperation");
    post("/entities/shelf/a?op=DELETE&wait=true").await.is(200);
    hub.shutdown().await.unwrap();
}

/// As in Azure, an omitted key is the empty key.
#[tokio::test]
async fn a_key_that_is_left_out_is_the_empty_one() {
    let api = Api::open().await;
    api.post("/entities/Counter?op=Add", "2").await.is(202);
    let called = api.post("/entities/counter/?op=add&wait=true", "3").await;
    called.is(200);
    assert_eq!(called.json(), 5);
    for key in ["$", "%24"] {
        assert_eq!(api.get(&format!("/entities/counter/{key}")).await.json()["value"], 5);
    }
    let keyed = [("idempotency-key", "once")];
    for _ in 0..2 {
        let path = "/entities/counter?op=add&wait=true";
        let called = api.send(Method::POST, path, &keyed, "1").await;
        assert_eq!(called.json(), 6);
    }
    api.post("/entities/counter", "2").await.is_error(400, "InvalidQuery");
    api.post("/entities/a@b?op=add", "2").await.is_error(400, "InvalidId");
    assert_eq!(api.get("/entities/counter").await.json().as_array().unwrap().len(), 1);
}

/// IDs that clients resolve in a URL path are rejected, even if code creates them.
#[tokio::test]
async fn an_id_that_a_path_cannot_carry_is_refused() {
    let api = Api::open().await;
    for dots in ["%2e", "%2E%2e", "%252e%252E", ".%252e"] {
        for path in [
            "/orchestrators/echoes/",
            "/entities/counter/",
            "/instances/a/raiseEvent/",
        ] {
            let path = format!("{path}{dots}?op=add");
            api.post("/orchestrators/waits/a", "").await;
            api.post(&path, "1").await.is_error(400, "InvalidId");
        }
        for path in ["/instances/", "/entities/counter/", "/schedules/"] {
            api.get(&format!("{path}{dots}")).await.is_error(400, "InvalidId");
        }
    }
    let client = api.hub.client();
    let error = client
        .start_by_name("echoes", json!(1))
        .instance_id("..")
        .await
        .unwrap_err();
    assert!(
        error.kind() == ErrorKind::InvalidId && error.to_string().contains("dot segment"),
        "{error}"
    );
    let error = client.entity::<super::fixture::Counter>("$").add(5).await.unwrap_err();
    assert!(error.to_string().contains("`$` stands for the empty key"), "{error}");
    assert!(EntityId::new("counter", "$").is_err());
}

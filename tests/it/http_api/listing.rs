//! Paged lists.

use std::time::Duration;

use abide::http::HttpConfig;
use abide::prelude::*;
use abide::{OrchestrationContext, activity, orchestration};
use axum::http::Method;
use serde_json::json;

use super::fixture::{Api, redacted};

const TOKEN: &str = "x-ms-continuation-token";

/// Follows the pages of a list to the end and returns the items and the number of pages.
async fn all(api: &Api, path: &str) -> (Vec<serde_json::Value>, usize) {
    let (mut items, mut pages) = (Vec::new(), 0);
    let mut token = String::new();
    loop {
        let page = api.send(Method::GET, path, &[(TOKEN, &token)], "").await;
        page.is(200);
        items.extend(page.json().as_array().unwrap().iter().cloned());
        pages += 1;
        token = page.header(TOKEN).to_owned();
        if token.is_empty() {
            return (items, pages);
        }
    }
}

async fn ids(api: &Api, path: &str) -> Vec<String> {
    let (items, _) = all(api, path).await;
    let mut ids: Vec<_> = items
        .iter()
        .map(|item| item["instanceId"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// Opens a hub with orchestrations in different states.
async fn filled() -> Api {
    let api = Api::open().await;
    for id in ["a-1", "a-2", "b-1"] {
        api.run("echoes", id, r#"{"in": 1}"#).await.is(200);
        // So that no two instances are created in the same millisecond.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    api.run("greets", "b-2", r#"[""]"#).await.is(200);
    for id in ["a-3", "Ä-4"] {
        api.post(&format!("/orchestrators/waits/{}", id.replace('Ä', "%C3%84")), "")
            .await;
        api.until_custom_status(&id.replace('Ä', "%C3%84"), "waiting").await;
    }
    api
}

/// The minimum and maximum times of Azure's clients exclude nothing, in every list and in a purge.
#[tokio::test]
async fn the_ends_of_time_leave_nothing_out() {
    let api = filled().await;
    api.post("/entities/counter/a?op=add&wait=true", "1").await.is(200);
    for end in [
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59.999999",
        "9999-12-31T23:59:59.9999999-12:00",
        "9999-12-31T23:59:59%2B14:00",
    ] {
        for begin in ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000%2B01:00"] {
            let range = format!("createdTimeFrom={begin}&createdTimeTo={end}");
            assert_eq!(ids(&api, &format!("/instances?{range}")).await.len(), 6, "{range}");
            let range = format!("lastOperationTimeFrom={begin}&lastOperationTimeTo={end}");
            assert_eq!(all(&api, &format!("/entities?{range}")).await.0.len(), 1, "{range}");
        }
        assert!(
            ids(&api, &format!("/instances?createdTimeFrom={end}")).await.is_empty(),
            "{end}"
        );
    }
    let all = "createdTimeFrom=0001-01-01T00:00:00&createdTimeTo=9999-12-31T23:59:59.9999999Z";
    let purged = api.delete(&format!("/instances?{all}")).await;
    assert_eq!(purged.json()["instancesDeleted"], 4);
}

/// Every filter works alone and combined with others. A trailing slash makes no difference.
#[tokio::test]
async fn instances_are_filtered() {
    let api = filled().await;
    let created = |id: &'static str| {
        let api = &api;
        async move {
            api.get(&format!("/instances/{id}")).await.json()["createdTime"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    };
    let (second, third) = (created("a-2").await, created("b-1").await);
    let offset = third.replace('Z', "+00:00");
    for (query, expected) in [
        ("", "Ä-4 a-1 a-2 a-3 b-1 b-2"),
        ("taskHub=x&connection=y&code=z&unknown=1", "Ä-4 a-1 a-2 a-3 b-1 b-2"),
        ("runtimeStatus=Completed", "a-1 a-2 b-1"),
        ("runtimeStatus=failed,RUNNING", "Ä-4 a-3 b-2"),
        ("runtimeStatus=Failed&runtimeStatus=Running", "Ä-4 a-3 b-2"),
        ("runtimeStatus=Pending", ""),
        ("instanceIdPrefix=a-", "a-1 a-2 a-3"),
        ("instanceIdPrefix=a-&runtimeStatus=Completed", "a-1 a-2"),
        ("name=waits", "Ä-4 a-3"),
        (&format!("createdTimeTo={second}"), "a-1 a-2"),
        (&format!("createdTimeFrom={second}&createdTimeTo={third}"), "a-2 b-1"),
        (&format!("createdTimeFrom={offset}"), "Ä-4 a-3 b-1 b-2"),
        ("createdTimeFrom=2999-01-01T00:00:00.123456Z", ""),
        ("createdTimeTo=1999-01-01", ""),
        ("top=4", "Ä-4 a-1 a-2 a-3 b-1 b-2"),
    ] {
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        expected.sort();
        assert_eq!(ids(&api, &format!("/instances?{query}")).await, expected, "{query}");
        assert_eq!(ids(&api, &format!("/instances/?{query}")).await, expected, "{query}");
    }
    for query in [
        "runtimeStatus=Gone",
        "createdTimeFrom=yesterday",
        "top=0",
        "top=-1",
        "top=many",
        "showInput=x",
    ] {
        api.get(&format!("/instances?{query}"))
            .await
            .is_error(400, "InvalidQuery");
    }
}

#[activity]
async fn absent() {}

#[orchestration]
async fn lacks(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.call_activity::<absent>(()).await?)
}

/// Orchestrations that wait for an unregistered type can be listed, and show the type.
#[tokio::test]
async fn unregistered_types_are_found() {
    let api = Api::build(
        Hub::in_memory().orchestration::<lacks>(),
        HttpConfig::new().without_token(),
    )
    .await;
    api.run("echoes", "there", "1").await.is(200);
    api.post("/orchestrators/waits/elsewhere", "1").await.is(202);
    api.post("/orchestrators/lacks/here", "").await.is(202);
    // The instance is listed after its first turn has called the activity.
    let found = loop {
        let (found, _) = all(&api, "/instances?unregistered=true").await;
        if !found.is_empty() {
            break found;
        }
    };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["instanceId"], "here");
    assert_eq!(found[0]["unregistered"][0]["name"], "absent");
    assert_eq!(ids(&api, "/instances?unregistered=false").await.len(), 3);
    api.get("/instances?unregistered=x").await.is_error(400, "InvalidQuery");
}

/// The document of an orchestration is the same in a list and alone.
#[tokio::test]
async fn lists_and_single_documents_agree() {
    let api = filled().await;
    let (listed, _) = all(&api, "/instances?instanceIdPrefix=a-1").await;
    assert_eq!(listed[0], api.get("/instances/a-1").await.json());
    let (listed, _) = all(&api, "/instances?instanceIdPrefix=a-1&showInput=false").await;
    assert_eq!(listed[0], api.get("/instances/a-1?showInput=false").await.json());
}

/// Each page returns a token for the next one, in either order, and the pages contain every item once. A token from
/// another list or an invalid token is rejected.
#[tokio::test]
async fn tokens_lead_from_page_to_page() {
    let api = filled().await;
    for path in [
        "/instances?top=1",
        "/instances?top=1&runtimeStatus=Running,Completed,Failed",
    ] {
        let (items, pages) = all(&api, path).await;
        assert_eq!((items.len(), pages), (6, 6), "{path}");
        assert_eq!(ids(&api, path).await.len(), 6);
    }
    let page = api.get("/instances?top=1").await;
    let token = page.header(TOKEN).to_owned();
    assert!(!token.is_empty());
    let mut wrong = vec![
        "x".to_owned(),
        ".".into(),
        "1:a".into(),
        format!("{token}x"),
        token.replace('.', ".x"),
    ];
    wrong.push("é".into());
    for wrong in wrong {
        api.send(Method::GET, "/instances", &[(TOKEN, &wrong)], "")
            .await
            .is_error(400, "InvalidContinuationToken");
    }
    for list in ["/entities", "/stopped", "/locks", "/dead-letters", "/quarantine"] {
        api.send(Method::GET, list, &[(TOKEN, &token)], "")
            .await
            .is_error(400, "InvalidContinuationToken");
    }
}

/// Entities are listed by type and time, with their states on request.
#[tokio::test]
async fn entities_are_listed() {
    let api = Api::open().await;
    for key in ["a", "b", "$"] {
        api.post(&format!("/entities/counter/{key}?op=add&wait=true"), "1")
            .await
            .is(200);
    }
    let (plain, _) = all(&api, "/entities").await;
    assert_eq!(plain.len(), 3);
    let (listed, pages) = all(&api, "/entities/Counter/?fetchState=true&top=2").await;
    assert_eq!(pages, 2);
    insta::assert_json_snapshot!(redacted(json!({ "plain": plain, "states": listed })));

    let time = plain[2]["lastOperationTime"].as_str().unwrap();
    let (from, _) = all(&api, &format!("/entities?lastOperationTimeFrom={time}")).await;
    let (to, _) = all(&api, &format!("/entities?lastOperationTimeTo={time}")).await;
    assert!(from.contains(&plain[2]) && to.contains(&plain[2]));
    assert_eq!(
        from.len() + to.len(),
        3 + from.iter().filter(|item| to.contains(item)).count()
    );
    assert_eq!(all(&api, "/entities?lastOperationTimeFrom=2999-01-01").await.0.len(), 0);
    assert_eq!(all(&api, "/entities/missing").await.0.len(), 0);
    for name in ["counter%40a", "a%2Fb", "a%00"] {
        api.get(&format!("/entities/{name}")).await.is_error(400, "InvalidId");
    }
    api.get("/entities?fetchState=x").await.is_error(400, "InvalidQuery");
}

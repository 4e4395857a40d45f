//! Stored values are equal to the original ones: states, arguments, results, inputs, outputs and events with every kind
//! of value. A value that could not be read again is rejected when it is created, and has no effect.
//!
//! See docs/src/guarantees.md, "Delivery".

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use abide::prelude::*;
use abide::{EntityId, ErrorKind, OrchestrationContext, activity, orchestration, schedule::Recurrence};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::value::RawValue;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Reading {
    value: f64,
    small: f32,
    large: i128,
    maybe: Option<f64>,
    by_name: HashMap<String, f64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u32")]
struct Percent(u32);

impl TryFrom<u32> for Percent {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number > 100 {
            return Err(format!("{number} is over 100"));
        }
        Ok(Self(number))
    }
}

macro_rules! gauge {
    ($module:ident, $($derive:ident),*) => {
        mod $module {
            use super::*;

            #[derive(Entity, Serialize, Deserialize, Default, $($derive),*)]
            pub(super) struct Gauge {
                pub(super) reading: Reading,
                percent: Percent,
                chain: Node,
                #[serde(skip_serializing_if = "String::is_empty")]
                name: String,
            }

            #[operations]
            impl Gauge {
                pub fn call(&mut self, name: &str) {
                    self.name = name.to_owned();
                }

                pub fn divide(&mut self, sum: f64, by: f64) {
                    self.reading.value = sum / by;
                }

                pub async fn divide_slowly(&mut self, sum: f64, by: f64) {
                    self.reading.maybe = Some(sum / by);
                }

                pub fn set_percent(&mut self, number: u32) {
                    self.percent.0 = number;
                }

                pub fn push(&mut self, levels: u32) {
                    for _ in 0..levels {
                        self.chain = Node { next: Some(Box::new(std::mem::take(&mut self.chain))) };
                    }
                }

                pub fn keep(&mut self, reading: Reading) -> Reading {
                    self.reading = reading;
                    self.reading.clone()
                }

                pub fn keep_or_fail(&mut self, reading: Reading) -> Result<(), Failure> {
                    self.reading = reading;
                    Err(Failure::message("on purpose"))
                }

                pub fn ratio(&self, by: f64) -> f64 {
                    self.reading.value / by
                }

                pub fn ratio_for_good(&mut self, by: f64) -> Option<f64> {
                    self.name.push('!');
                    Some(self.reading.value / by)
                }

                pub fn reading(&self) -> Reading {
                    self.reading.clone()
                }
            }
        }
    };
}

gauge!(cloned, Clone);
gauge!(encoded, Debug);

/// Passes its input through everything that stores values.
#[orchestration]
async fn passes(ctx: OrchestrationContext, reading: Reading) -> Result<Reading, Failure> {
    ctx.set_custom_status(&reading);
    let reading = ctx.call_activity::<measures>(reading).await?;
    let reading = ctx.call_sub_orchestration::<waits>(reading).await?;
    Ok(ctx.entity::<cloned::Gauge>("passed").keep(reading).await?)
}

#[orchestration]
async fn waits(ctx: OrchestrationContext, reading: Reading) -> Result<Reading, Failure> {
    ctx.send_event(ctx.instance_id(), "again", &reading);
    Ok(ctx.wait_for_external_event::<Reading>("again").await?)
}

#[activity]
async fn measures(reading: Reading) -> Reading {
    reading
}

#[activity]
async fn measures_nothing() -> f64 {
    f64::NAN
}

/// Produces a value that cannot be stored.
#[orchestration]
async fn overflows(ctx: OrchestrationContext, what: String) -> Result<f64, Failure> {
    let nan = Reading {
        value: f64::NAN,
        ..Reading::default()
    };
    match what.as_str() {
        "activity input" => drop(ctx.call_activity::<measures>(nan).await?),
        "activity result" => drop(ctx.call_activity::<measures_nothing>(()).await?),
        "child input" => drop(ctx.call_sub_orchestration::<waits>(nan).await?),
        "argument" => drop(ctx.entity::<cloned::Gauge>("a").keep(nan).await?),
        "event" => ctx.send_event("missing", "name", nan),
        "status" => ctx.set_custom_status(nan),
        _ => {}
    }
    Ok(f64::INFINITY)
}

async fn open(directory: &Path) -> Hub {
    Hub::builder(directory)
        .entity::<cloned::Gauge>()
        .orchestration::<passes>()
        .orchestration::<waits>()
        .orchestration::<overflows>()
        .activity::<measures>()
        .activity::<measures_nothing>()
        .open()
        .await
        .unwrap()
}

async fn refused<T: std::fmt::Debug>(call: impl Future<Output = Result<T, CallError>>, text: &str) {
    match call.await {
        Err(CallError::Runtime(error)) if error.kind() == ErrorKind::Serialization => {
            assert!(error.to_string().contains(text), "{error}");
        }
        other => panic!("the value was accepted: {other:?}"),
    }
}

macro_rules! refuses {
    ($module:ident) => {{
        let hub = Hub::in_memory().entity::<$module::Gauge>().open().await.unwrap();
        let gauge = hub.client().entity::<$module::Gauge>("g");
        // The initial state does not deserialize from its own serialization.
        refused(gauge.divide(1.0, 2.0), "missing field `name`").await;
        assert!(gauge.state().await.unwrap().is_none());

        gauge.call("g").await.unwrap();
        gauge.divide(1.0, 2.0).await.unwrap();
        refused(gauge.divide(0.0, 0.0), "`reading.value` is NaN").await;
        refused(gauge.divide_slowly(1.0, 0.0), "`reading.maybe` is inf").await;
        refused(gauge.set_percent(101), "101 is over 100").await;
        refused(gauge.push(200), "127 levels").await;
        refused(gauge.call(""), "missing field `name`").await;
        refused(gauge.ratio_for_good(0.0), "is inf").await;
        refused(gauge.ratio(0.0), "is inf").await;
        let reading = Reading {
            value: f64::NAN,
            ..Reading::default()
        };
        refused(gauge.keep(reading.clone()), "`value` is NaN").await;
        let kind = gauge.keep(reading).signal().await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Serialization);

        // None of these operations has an effect, in memory or in the store.
        let half = Reading {
            value: 0.5,
            ..Reading::default()
        };
        assert_eq!(gauge.reading().await.unwrap(), half);
        assert_eq!(gauge.state().await.unwrap().unwrap().reading, half);
        gauge.set_percent(100).await.unwrap();
        gauge.push(100).await.unwrap();
        hub.shutdown().await.unwrap();
    }};
}

/// An operation fails if its state or its result could not be read again, whether the state is `Clone` or not.
#[tokio::test]
async fn an_operation_with_an_unreadable_state_or_result_fails() {
    refuses!(cloned);
    refuses!(encoded);
}

/// An orchestration fails if a value that it stores or receives could not be read again.
#[tokio::test]
async fn an_orchestration_with_an_unreadable_value_fails() {
    let place = tempfile::tempdir().unwrap();
    let hub = open(place.path()).await;
    let client = hub.client();
    let parts = [
        "activity input",
        "activity result",
        "child input",
        "argument",
        "event",
        "status",
        "output",
    ];
    for part in parts {
        let run = client.start::<overflows>(part.to_owned()).await.unwrap();
        let error = run.result().await.unwrap_err().to_string();
        assert!(error.contains("NaN") || error.contains("is inf"), "{part}: {error}");
        assert!(error.contains("JSON"), "{part}: {error}");
    }
    let nan = Reading {
        value: f64::NAN,
        ..Reading::default()
    };
    let error = client.start::<passes>(nan.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    assert!(error.to_string().contains("`value` is NaN"), "{error}");
    let run = client.start::<waits>(Reading::default()).await.unwrap();
    let error = run.raise_event("again", nan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    hub.shutdown().await.unwrap();
}

fn reading() -> impl Strategy<Value = Reading> {
    let bits = any::<(u64, u32, i128, Option<u64>, HashMap<String, u64>)>();
    bits.prop_map(|(value, small, large, maybe, by_name)| Reading {
        value: f64::from_bits(value),
        small: f32::from_bits(small),
        large,
        maybe: maybe.map(f64::from_bits),
        by_name: by_name
            .into_iter()
            .map(|(name, bits)| (name, f64::from_bits(bits)))
            .collect(),
    })
}

/// Every value in a hub is bit-identical before and after a restart, or is rejected at once.
#[test]
fn stored_values_are_equal_after_a_restart() {
    let mut runner = TestRunner::deterministic();
    let mut draw = || reading().new_tree(&mut runner).unwrap().current();
    let mut readings: Vec<Reading> = (0..40).map(|_| draw()).collect();
    readings.extend((0..40_u32).map(|n| Reading {
        value: f64::from(n * 7_919 + 13) / 100.0 / f64::from(3 + n % 17),
        small: f32::from_bits(n * 97_003_331 % 0x7f80_0000),
        maybe: Some(-0.0),
        ..Reading::default()
    }));
    // `Debug` distinguishes -0.0 from 0.0 and every `f64` from its neighbors.
    let shown = |reading: &Reading| {
        let mut names: Vec<_> = reading.by_name.iter().collect();
        names.sort_by_key(|(name, _)| *name);
        format!(
            "{:?} {:?} {} {:?} {names:?}",
            reading.value, reading.small, reading.large, reading.maybe
        )
    };
    let is_finite = |reading: &Reading| {
        let floats = reading.by_name.values().chain(&reading.maybe).chain([&reading.value]);
        reading.small.is_finite() && floats.into_iter().all(|float| float.is_finite())
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = tempfile::tempdir().unwrap();
        let hub = open(place.path()).await;
        let client = hub.client();
        let mut kept = Vec::new();
        for (number, reading) in readings.iter().enumerate() {
            let gauge = client.entity::<cloned::Gauge>(number.to_string());
            gauge.call("g").await.unwrap();
            match gauge.keep(reading.clone()).await {
                Ok(answer) => {
                    assert_eq!(shown(&answer), shown(reading));
                    gauge.keep_or_fail(Reading::default()).await.unwrap_err();
                    kept.push(number);
                }
                Err(_) => assert!(!is_finite(reading), "{reading:?}"),
            }
        }
        assert!(kept.len() >= 40, "{}", kept.len());
        client.entity::<cloned::Gauge>("passed").call("g").await.unwrap();
        for &number in &kept[kept.len() - 5..] {
            let run = client
                .start::<passes>(readings[number].clone())
                .instance_id(number.to_string());
            let output = run.await.unwrap().result().await.unwrap();
            assert_eq!(shown(&output), shown(&readings[number]));
        }
        hub.shutdown().await.unwrap();

        let hub = open(place.path()).await;
        let client = hub.client();
        for &number in &kept {
            let gauge = client.entity::<cloned::Gauge>(number.to_string());
            assert_eq!(shown(&gauge.reading().await.unwrap()), shown(&readings[number]));
        }
        for &number in &kept[kept.len() - 5..] {
            let run = client.orchestration::<passes>(number.to_string());
            assert_eq!(shown(&run.result().await.unwrap()), shown(&readings[number]));
        }
        hub.shutdown().await.unwrap();
    });
}

/// Stores raw JSON.
#[derive(Entity, Default, Serialize, Deserialize)]
struct Shelf {
    raw: Option<Box<RawValue>>,
}

#[operations]
impl Shelf {
    pub fn put(&mut self, raw: Box<RawValue>) {
        self.raw = Some(raw);
    }
}

#[orchestration]
async fn takes_raw(_ctx: OrchestrationContext, _raw: Box<RawValue>) {}

/// Raw JSON that tools could not read is rejected where it is received, typed or not, and has no effect.
#[tokio::test]
async fn raw_json_that_no_tool_reads_is_refused() {
    let builder = Hub::in_memory().entity::<Shelf>().orchestration::<takes_raw>();
    let hub = builder.open().await.unwrap();
    let client = hub.client();
    let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
    for json in [
        nested(128),
        nested(20_000),
        "1e999".to_owned(),
        r#""\ud800""#.to_owned(),
    ] {
        let raw = || RawValue::from_string(json.clone()).unwrap();
        let Err(CallError::Runtime(error)) = client.entity::<Shelf>("a").put(raw()).await else {
            panic!("the value was accepted");
        };
        assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
        let untyped = client.untyped_entity(&EntityId::new("shelf", "a").unwrap());
        let error = untyped.signal("put", json.as_bytes()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArguments, "{error}");
        let error = client.start::<takes_raw>(raw()).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
    }
    let deep = (0..200).fold(serde_json::Value::Null, |value, _| vec![value].into());
    let schedules = client.schedules();
    let create = schedules.create_by_name("s", Recurrence::Every(Duration::from_secs(60)), "takes_raw", deep);
    assert_eq!(create.await.unwrap_err().kind(), ErrorKind::InvalidArguments);
    assert_eq!(client.entities().count().await.unwrap(), 0);

    let exact = nested(120).replace("[]", "[340282366920938463463374607431768211456]");
    let raw = RawValue::from_string(exact.clone()).unwrap();
    client.entity::<Shelf>("a").put(raw).await.unwrap();
    let state = client.entity::<Shelf>("a").state().await.unwrap().unwrap();
    assert_eq!(state.raw.unwrap().get(), exact);
    hub.shutdown().await.unwrap();
}

//! Spans for OpenTelemetry (feature `otel`).
//!
//! [`TracerProvider`] exports the spans of a hub. Give it to [`HubBuilder::tracer_provider`](crate::HubBuilder::tracer_provider):
//!
//! ```
//! use abide::otel::TracerProvider;
//! use abide::prelude::*;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//!
//! #[activity]
//! async fn greet(_ctx: ActivityContext, name: String) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! #[orchestration]
//! async fn hello(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
//!     Ok(ctx.call_activity::<greet>(name).await?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> abide::Result<()> {
//! // A program uses `with_batch_exporter` with the exporter of the crate `opentelemetry-otlp`.
//! let spans = InMemorySpanExporter::default();
//! let tracing = TracerProvider::new(SdkTracerProvider::builder().with_simple_exporter(spans.clone()));
//! let hub = Hub::in_memory()
//!     .activity::<greet>()
//!     .orchestration::<hello>()
//!     .tracer_provider(&tracing)
//!     .open()
//!     .await?;
//! hub.client().start::<hello>("Ada".into()).await?.result().await?;
//! hub.shutdown().await?;
//!
//! let mut names: Vec<_> = spans.get_finished_spans().unwrap().into_iter().map(|span| span.name).collect();
//! names.sort();
//! assert_eq!(names, ["activity:greet", "activity:greet", "create_orchestration:hello", "orchestration:hello"]);
//! # Ok(())
//! # }
//! ```
//!
//! The page *Traces* of the book lists all spans.

use std::cell::Cell;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider, TracerProviderBuilder};

use crate::engine::spans::{Attribute, FinishedSpan, SpanKind};
use crate::trace::{Sampling, TraceContext};

/// A tracer provider that can export the spans of hubs. Cheap to clone; several hubs may share it.
///
/// The ids of the spans of a hub follow from what the hub has stored, so that a span that begins before a restart and
/// ends after it is one span. Therefore the provider has an id generator of its own. All other spans of
/// [`sdk`](Self::sdk) get random ids, as usual.
#[derive(Clone)]
pub struct TracerProvider {
    sdk: SdkTracerProvider,
    share: f64,
}

impl TracerProvider {
    /// Builds the provider, with another id generator. Keep the default sampler: it follows the decision of the parent,
    /// and [`sample_ratio`](Self::sample_ratio) decides about new traces.
    pub fn new(builder: TracerProviderBuilder) -> Self {
        Self {
            sdk: builder
                .with_id_generator(StoredIds(RandomIdGenerator::default()))
                .build(),
            share: 1.0,
        }
    }

    /// Sets the share of new traces that are recorded, from 0 to 1 (default: 1).
    ///
    /// A trace begins when an orchestration is started outside of a trace. The id of the trace decides. An
    /// orchestration that is started within a trace follows the decision of the caller.
    #[must_use]
    pub fn sample_ratio(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Returns the provider of the SDK, for the other spans of the program, and to flush it before the program ends.
    pub fn sdk(&self) -> &SdkTracerProvider {
        &self.sdk
    }

    pub(crate) fn sampling(&self) -> Sampling {
        Sampling::ratio(self.share)
    }

    /// Returns the exporter of a hub's spans.
    pub(crate) fn exporter(&self) -> Exporter {
        Exporter(self.sdk.tracer("abide"))
    }
}

impl fmt::Debug for TracerProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracerProvider")
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// The ids of the span that this thread is building.
    static IDS: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Generates the ids that a hub has derived, for its spans, and random ids for all others.
#[derive(Debug)]
struct StoredIds(RandomIdGenerator);

impl IdGenerator for StoredIds {
    fn new_trace_id(&self) -> TraceId {
        IDS.get().map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        IDS.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

/// Exports the spans of a hub.
#[derive(Clone, Debug)]
pub(crate) struct Exporter(SdkTracer);

impl Exporter {
    /// Hands a span to the processors of the provider.
    pub(crate) fn export(&self, finished: FinishedSpan) {
        let FinishedSpan {
            context,
            parent,
            kind,
            name,
            start,
            end,
            attributes,
            error,
        } = finished;
        let parent = match parent {
            Some(parent) => remote(&context.with_span(parent)),
            None => Context::new(),
        };
        let attributes = attributes.into_iter().map(|(name, value)| match value {
            Attribute::Text(text) => KeyValue::new(name, text),
            Attribute::Instance(id) => KeyValue::new(name, id.shared_text()),
            Attribute::Number(number) => KeyValue::new(name, number),
        });
        let builder = SpanBuilder::from_name(name)
            .with_kind(match kind {
                SpanKind::Client => opentelemetry::trace::SpanKind::Client,
                SpanKind::Server => opentelemetry::trace::SpanKind::Server,
                SpanKind::Producer => opentelemetry::trace::SpanKind::Producer,
                SpanKind::Consumer => opentelemetry::trace::SpanKind::Consumer,
                SpanKind::Internal => opentelemetry::trace::SpanKind::Internal,
            })
            .with_start_time(SystemTime::from(start))
            .with_attributes(attributes);
        let ids = Ids::set(&context);
        let mut span = self.0.build_with_context(builder, &parent);
        drop(ids);
        if let Some(error) = error {
            span.set_status(Status::error(error));
        }
        span.end_with_timestamp(SystemTime::from(end));
    }
}

/// Sets the ids of the next span of this thread while it exists, also if a processor panics.
struct Ids;

impl Ids {
    fn set(context: &TraceContext) -> Self {
        IDS.set(Some((
            TraceId::from_bytes(context.trace()),
            SpanId::from_bytes(context.span()),
        )));
        Self
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        IDS.set(None);
    }
}

/// Returns a context of OpenTelemetry with this span.
pub(crate) fn remote(trace: &TraceContext) -> Context {
    let flags = match trace.is_sampled() {
        true => TraceFlags::SAMPLED,
        false => TraceFlags::default(),
    };
    let state = trace.state().and_then(|state| state.parse::<TraceState>().ok());
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(trace.trace()),
        SpanId::from_bytes(trace.span()),
        flags,
        true,
        state.unwrap_or_default(),
    ))
}

/// Returns the span in which the caller runs, if there is one.
pub(crate) fn current() -> Option<TraceContext> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| {
            TraceContext::of_parts(
                span.trace_id().to_bytes(),
                span.span_id().to_bytes(),
                span.trace_flags().to_u8(),
                span.trace_state().header(),
            )
        })
    })
}

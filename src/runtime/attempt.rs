//! The code of one attempt of an activity while it runs.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

#[cfg(feature = "otel")]
use opentelemetry::Context as OtelContext;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tracing::Span;

use crate::engine::code::ActivityFuture;
use crate::model::Outcome;
use crate::runtime::contained::contained;
use crate::runtime::meters::Counted;
use crate::runtime::tasks::Running;

/// What the code of an attempt returned, or its panic.
type Returned = Result<Outcome, Box<dyn Any + Send>>;

/// The code of an attempt. It runs when it is polled, or on a thread for blocking work.
pub(super) enum AttemptCode {
    Here(Code),
    Thread(JoinHandle<Returned>),
}

/// How the code of an attempt has ended.
pub(super) enum CodeEnd {
    Returned(Outcome),
    Panicked(Box<dyn Any + Send>),
    /// [`AttemptCode::stop`] has ended it.
    Stopped,
    /// The tokio runtime has shut down.
    Lost,
}

/// The future of a user, in its span. It is dropped as soon as it has ended. A panic of it, or of a subscriber that receives
/// the span, is its result.
pub(super) struct Code {
    future: Option<ActivityFuture>,
    span: Span,
    /// The context of the spans that the code begins.
    #[cfg(feature = "otel")]
    context: OtelContext,
    _running: Running,
    _counted: Option<Counted>,
}

impl Code {
    pub(super) fn new(
        future: ActivityFuture,
        span: Span,
        #[cfg(feature = "otel")] context: OtelContext,
        running: Running,
        counted: Option<Counted>,
    ) -> Self {
        Self {
            future: Some(future),
            span,
            #[cfg(feature = "otel")]
            context,
            _running: running,
            _counted: counted,
        }
    }

    /// Runs something in the span of the code.
    fn inside<R>(&mut self, run: impl FnOnce(&mut Option<ActivityFuture>) -> R) -> R {
        let _entered = self.span.enter();
        #[cfg(feature = "otel")]
        let _attached = self.context.clone().attach();
        run(&mut self.future)
    }

    /// Drops the future, unless it has ended.
    fn end(&mut self) {
        if self.future.is_some() {
            contained(|| self.inside(|future| drop(future.take())));
            // If the span could not be entered.
            contained(|| drop(self.future.take()));
        }
    }
}

impl Future for Code {
    type Output = Returned;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Returned> {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            self.inside(|future| {
                let future = future.as_mut().expect("code that has ended is not polled");
                future.as_mut().poll(cx)
            })
        }));
        let returned = match polled {
            Ok(polled) => Ok(ready!(polled)),
            Err(panic) => Err(panic),
        };
        self.end();
        Poll::Ready(returned)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.end();
    }
}

impl AttemptCode {
    /// Runs the code on a thread for blocking work.
    pub(super) fn on_a_thread(code: Code, tokio: &Handle) -> Self {
        let handle = tokio.clone();
        Self::Thread(tokio.spawn_blocking(move || handle.block_on(code)))
    }

    /// Ends the code, and waits until it has ended. On a thread, it ends only by itself.
    pub(super) async fn stop(mut self) -> CodeEnd {
        if let Self::Thread(thread) = &mut self {
            thread.abort();
            return match joined(thread.await) {
                CodeEnd::Lost => CodeEnd::Stopped,
                ended => ended,
            };
        }
        CodeEnd::Stopped
    }
}

impl Future for AttemptCode {
    type Output = CodeEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CodeEnd> {
        Poll::Ready(match &mut *self {
            Self::Here(code) => returned(ready!(Pin::new(code).poll(cx))),
            Self::Thread(thread) => joined(ready!(Pin::new(thread).poll(cx))),
        })
    }
}

/// Code that still waits for a thread never begins.
impl Drop for AttemptCode {
    fn drop(&mut self) {
        if let Self::Thread(thread) = self {
            thread.abort();
        }
    }
}

fn returned(returned: Returned) -> CodeEnd {
    match returned {
        Ok(outcome) => CodeEnd::Returned(outcome),
        Err(panic) => CodeEnd::Panicked(panic),
    }
}

fn joined(ended: Result<Returned, JoinError>) -> CodeEnd {
    ended.map_or(CodeEnd::Lost, returned)
}

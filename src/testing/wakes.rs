//! A future whose wakes are counted.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled only when it was woken, although it shares a task with others, and whose polls are counted.
pub(super) struct CountedWakes<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
    count: Rc<Cell<u64>>,
}

#[derive(Debug)]
struct Woken {
    is_woken: AtomicBool,
    task: Mutex<Waker>,
}

impl<F> CountedWakes<F> {
    pub(super) fn new(future: F, count: Rc<Cell<u64>>) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::new(Woken {
                is_woken: AtomicBool::new(true),
                task: Mutex::new(Waker::noop().clone()),
            }),
            count,
        }
    }
}

impl<F: Future> Future for CountedWakes<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let task = cx.waker().clone();
        *self.woken.task.lock().unwrap_or_else(PoisonError::into_inner) = task;
        if !self.woken.is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        self.count.set(self.count.get() + 1);
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        task.wake();
    }
}
